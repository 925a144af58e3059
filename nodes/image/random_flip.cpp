#include "graph/node.h"
#include "nodes/host.h"

namespace flowrun {
namespace {

struct RandomFlip {
  static constexpr NodeInfo info{.type = "image.random_flip", .brief = "Mirrors left-right with a given chance.", .scope = Scope::sample};
  struct Ports {
    In<Image> image{"image", "H W 3 u8."};
    In<LabelMap> label_map{"label_map", "Class of each pixel, mirrored together with the image.", optional};
    Out<Image> out{"image", "The same, mirrored or not."};
    Out<LabelMap> out_map{"label_map", "The same, mirrored or not; empty without a label map."};
    void describe(auto& port) { port(image, label_map, out, out_map); }
  };
  struct Params {
    double p = 0.5;
    void describe(auto& param) { param("p", p, Range{0, 1}, "Chance of a flip."); }
  };
  Params params;

  void run(Ports& port, const SampleContext& context) const {
    const bool flip = context.rng().chance(params.p);
    context.ledger.add(flip ? 1 : 2);
    copy(port.image->pixels, flip, port.out->pixels);
    port.out->covers = port.image->covers;
    if (port.label_map) copy(port.label_map->pixels, flip, port.out_map->pixels);
  }

 private:
  static void copy(const io::PixelBuffer& in, bool flip, io::PixelBuffer& out) {
    out.reshape(in.height, in.width, in.channels);
    if (!flip) {
      std::copy(in.pixels.begin(), in.pixels.end(), out.pixels.begin());
      return;
    }
    const auto channels = static_cast<size_t>(in.channels), width = static_cast<size_t>(in.width);
    for (size_t r = 0; r < static_cast<size_t>(in.height); ++r) {
      const uint8_t* from = in.pixels.data() + r * width * channels;
      uint8_t* to = out.pixels.data() + ((r + 1) * width - 1) * channels;
      for (size_t c = 0; c < width; ++c, from += channels, to -= channels) std::copy_n(from, channels, to);
    }
  }
};

FLOWRUN_NODE(RandomFlip);

}  // namespace
}  // namespace flowrun
