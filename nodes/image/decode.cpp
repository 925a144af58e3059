#include "graph/node.h"
#include "nodes/lib/host/image/decode_rules.h"
#include "nodes/lib/host/types/faults.h"

namespace flowrun {
namespace {

struct Decode {
  static constexpr NodeInfo info{
      .type = "image.decode",
      .brief = "Decodes a JPEG, PNG, WebP, GIF or TIFF to RGB, the whole picture or a region of it.",
      .scope = Scope::sample,
      .details =
          "The file's content tells the format, not its name. Equal to Pillow's convert(\"RGB\") in every bit, and a region equals the same region "
          "of the whole picture: JPEG by libjpeg-turbo with the accurate integer DCT and smooth chroma upsampling, gray replicated, CMYK as Pillow; "
          "PNG and TIFF of all depths, 16 bits become the upper 8, or what range says; WebP lossy and lossless. Alpha is left out; of an animation "
          "the first frame is taken, of a TIFF the first page. docs/images.md says more. Corrupt files are errors (see run.max_bad)."};
  struct Ports : image::DecodePorts {
    Out<Fault> fault{"fault", "With on_corrupt blank: why the picture is blank."};
    void describe(auto& port) { port(bytes, region, image, fault); }
  };
  struct Params {
    std::string orientation = "stored", on_truncated = "substitute", on_corrupt = "substitute";
    int64_t dct_scaling = 0, max_megapixels = 178;
    std::vector<double> range;
    void describe(auto& param) {
      param("orientation", orientation, image::orientations(),
            "stored: as the pixels lie in the file. exif: turned as the file's EXIF orientation says.");
      param("on_truncated", on_truncated, image::truncated_policies(),
            "What to do with a file that ends too early. substitute: it is a bad sample, like a corrupt file. error: the run ends, whatever "
            "run.max_bad says. keep_decoded: what can be decoded is used, and the file is listed.");
      param("on_corrupt", on_corrupt, image::corrupt_policies(),
            "What to do with a file that can't be decoded. substitute: it is a bad sample. blank: a black picture stands for it, of the file's size "
            "where that is known and at most a megapixel, else of one pixel; the file is listed, and fault says why.");
      param("dct_scaling", dct_scaling, Range{0, 16384},
            "Above 0: JPEGs are decoded at 1/2 or 1/4 while both sides keep at least so many pixels (the size of the resize that follows). "
            "Faster; changes pixels.");
      param("max_megapixels", max_megapixels, positive, "Larger pictures are an error, found before memory is allocated.");
      param("range", range, Range{-1e30, 1e30}, image::range_doc);
    }
    std::optional<ParamFault> check() const { return image::check_range(range); }
  };
  Params params;

  void plan(NodePlan& plan) const { image::plan_decoding(plan); }

  void open(const OpenContext& context) { remark_ = std::make_unique<image::DeepRemark>(context); }

  void run(Ports& port, const SampleContext& context) const {
    port.fault->why.clear();
    try {
      decode(port, context);
    } catch (const FatalNodeError&) {
      throw;
    } catch (const std::exception& error) {
      if (params.on_corrupt != "blank") throw;
      port.fault->why = error.what();
      context.kept(port.fault->why + "; a black picture stands for it");
      image::decode_blank(*port.bytes, port.region.value, params.orientation == "exif", *port.image);
    }
  }

 private:
  void decode(Ports& port, const SampleContext& context) const {
    image::decode(*port.bytes, port.region.value,
                  {.oriented = params.orientation == "exif",
                   .on_truncated = params.on_truncated,
                   .least_side = params.dct_scaling,
                   .max_megapixels = params.max_megapixels,
                   .range = image::range_of(params.range),
                   .remark = remark_.get()},
                  context, *port.image);
  }

  std::unique_ptr<image::DeepRemark> remark_;
};

FLOWRUN_NODE(Decode);

}  // namespace
}  // namespace flowrun
