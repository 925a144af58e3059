#include "graph/node.h"
#include "nodes/lib/host/image/decode_rules.h"

namespace flowrun {
namespace {

struct JpegDecode {
  static constexpr NodeInfo info{.type = "image.jpeg_decode",
                                 .brief = "Decodes a JPEG to RGB, the whole picture or a region of it.",
                                 .scope = Scope::sample,
                                 .details =
                                     "As image.decode with its defaults, but other formats are errors: for data that must be JPEGs only. Truncated "
                                     "and corrupt files are errors. EXIF orientation is not applied."};
  struct Ports {
    In<Bytes> bytes{"bytes", "A JPEG file."};
    In<Region> region{"region", "What to decode; without it, everything.", optional};
    Out<Image> image{"image", "H W 3 u8."};
    void describe(auto& port) { port(bytes, region, image); }
  };
  struct Params {
    int64_t max_megapixels = 178;
    void describe(auto& param) {
      param("max_megapixels", max_megapixels, positive, "Larger pictures are an error, found before memory is allocated.");
    }
  };
  Params params;

  void plan(NodePlan& plan) const { image::plan_decoding(plan); }

  void run(Ports& port, const SampleContext& context) const {
    image::decode(*port.bytes, port.region.value, {.jpeg_only = true, .max_megapixels = params.max_megapixels}, context, *port.image);
  }
};

FLOWRUN_NODE(JpegDecode);

}  // namespace
}  // namespace flowrun
