#include "graph/node.h"
#include "nodes/lib/host/device/jpeg_device.h"
#include "nodes/lib/host/image/decode_rules.h"

namespace flowrun {
namespace {

struct NvjpegDecode {
  static constexpr NodeInfo info{
      .type = "image.nvjpeg_decode",
      .brief = "Decodes a JPEG on the GPU, by nvJPEG; everything else as image.decode.",
      .scope = Scope::sample,
      .details =
          "For image.decode where data threads are short of cores: baseline and progressive JPEGs, gray or YCbCr, are decoded on the rank's GPU and "
          "come back to the host's memory, each data thread with a CUDA stream of its own. Other formats, CMYK, arithmetic coding, files that are "
          "cut off or broken and whatever else nvJPEG declines go through image.decode's decoder, with its messages. The pixels differ from "
          "image.decode's by some levels, since nvJPEG has another inverse DCT and another chroma upsampling (interpolated, its nearest to "
          "libjpeg-turbo's): so do ledgers and losses, and a run keeps to one of the two. Wrong codes in data that are complete are found by "
          "libjpeg-turbo, and not always by nvJPEG. Needs a GPU, its driver and libnvjpeg.so.13, also in verify and replay; check needs none."};
  using Ports = image::DecodePorts;
  struct Params {
    std::string orientation = "stored", on_truncated = "substitute";
    int64_t dct_scaling = 0, max_megapixels = 178;
    double gpu_huffman_megapixels = 1;
    std::vector<double> range;
    void describe(auto& param) {
      param("orientation", orientation, image::orientations(), "As in image.decode.");
      param("on_truncated", on_truncated, image::truncated_policies(), "As in image.decode.");
      param("dct_scaling", dct_scaling, Range{0, 16384}, "Only 0: nvJPEG decodes at full size.");
      param("max_megapixels", max_megapixels, positive, "Larger pictures are an error, found before memory is allocated.");
      param("gpu_huffman_megapixels", gpu_huffman_megapixels, Range{0, 1e6},
            "Larger pictures have their Huffman codes read on the GPU, others on the data thread. 0: all. Pixels are the same.");
      param("range", range, Range{-1e30, 1e30}, "As in image.decode.");
    }
    std::optional<ParamFault> check() const {
      if (dct_scaling == 0) return image::check_range(range);
      return ParamFault{"dct_scaling", "nvJPEG can't decode at a smaller size: leave dct_scaling out, or use image.decode"};
    }
  };
  Params params;

  void plan(NodePlan& plan) const { image::plan_decoding(plan); }

  void open(const OpenContext& context) {
    remark_ = std::make_unique<image::DeepRemark>(context);
    try {
      decoders_ = std::make_unique<JpegDecoders>(static_cast<int64_t>(params.gpu_huffman_megapixels * 1e6));
    } catch (const std::runtime_error& error) {
      throw PipelineError("error: " + context.name + ": image.nvjpeg_decode needs a GPU and nvJPEG: " + error.what() +
                          "; use image.decode, which takes the same ports");
    }
  }

  void run(Ports& port, const SampleContext& context) const {
    image::decode(*port.bytes, port.region.value,
                  {.oriented = params.orientation == "exif",
                   .on_truncated = params.on_truncated,
                   .max_megapixels = params.max_megapixels,
                   .range = image::range_of(params.range),
                   .remark = remark_.get(),
                   .jpeg = decoders_.get()},
                  context, *port.image);
  }

 private:
  std::unique_ptr<JpegDecoders> decoders_;
  std::unique_ptr<image::DeepRemark> remark_;
};

FLOWRUN_NODE(NvjpegDecode);

}  // namespace
}  // namespace flowrun
