#include "graph/node.h"
#include "io/jpeg.h"
#include "nodes/host.h"

namespace flowrun {
namespace {

struct JpegDecode {
  static constexpr NodeInfo info{
      .type = "image.jpeg_decode",
      .brief = "Decodes a JPEG to RGB, the whole picture or a region of it.",
      .scope = Scope::sample,
      .details =
          "libjpeg-turbo with the accurate integer DCT and smooth chroma upsampling: equal to Pillow's decoder in every bit, and a region "
          "equals the same region of the whole picture. Gray becomes RGB, CMYK is converted as Pillow does. EXIF rotation is not applied. "
          "Truncated and corrupt files are errors."};
  struct Ports {
    In<Bytes> bytes{"bytes", "A JPEG file."};
    In<Region> region{"region", "What to decode; without it, everything.", optional};
    Out<Image> image{"image", "H W 3 u8."};
    void describe(auto& port) { port(bytes, region, image); }
  };
  struct Params {
    int64_t max_megapixels = 178;
    void describe(auto& param) { param("max_megapixels", max_megapixels, positive, "Larger pictures are an error, found before memory is taken."); }
  };
  Params params;

  void run(Ports& port, const SampleContext&) const {
    thread_local io::JpegDecoder decoder(INT64_MAX);  // keeps its handle and buffers
    const io::JpegInfo info = io::read_jpeg_info(port.bytes->data);
    if (static_cast<int64_t>(info.width) * info.height > params.max_megapixels * 1'000'000) {
      throw NodeError("the picture is " + std::to_string(info.width) + "x" + std::to_string(info.height) +
                      ", more than max_megapixels = " + std::to_string(params.max_megapixels));
    }
    if (port.region) {
      decoder.decode(port.bytes->data, port.region->rect, port.image->pixels);
      port.image->covers = port.region->rect;
    } else {
      decoder.decode(port.bytes->data, port.image->pixels);
      port.image->covers = {0, 0, info.width, info.height};
    }
  }
};

FLOWRUN_NODE(JpegDecode);

}  // namespace
}  // namespace flowrun
