#include "graph/node.h"
#include "io/codec/color.h"
#include "nodes/lib/host/types/views.h"

namespace flowrun {
namespace {

struct Solarize {
  static constexpr NodeInfo info{.type = "image.solarize",
                                 .brief = "Inverts bright values with a given chance.",
                                 .scope = Scope::sample,
                                 .details =
                                     "torchvision 0.26's RandomSolarize on Pillow 12 images, in every bit: a value v of a channel that is at least "
                                     "the threshold becomes 255 - v."};
  struct Ports {
    In<Image> image{"image", "H W 3 u8, or several views."};
    Out<Image> out{"image", "The same, solarized or not; each view is drawn separately.", InPlace{"image"}};
    void describe(auto& port) { port(image, out); }
  };
  struct Params {
    int64_t threshold = 128;
    image::Chances p{0.2};
    void describe(auto& param) {
      param("threshold", threshold, Range{0, 256}, "Smallest value that is inverted.");
      p.describe(param, "Chance that an image is changed; a list: of each view.");
    }
  };
  Params params;

  void plan(NodePlan& plan) const { params.p.plan(plan); }

  void run(Ports& port, const SampleContext& context) const {
    image::change_colours(*port.image, *port.out, params.p, context, [&](uint8_t* pixels, int64_t count, Rng rng, double p) -> uint64_t {
      if (!rng.chance(p)) return 2;
      io::solarize(pixels, count, static_cast<int>(params.threshold));
      return 1;
    });
  }
};

FLOWRUN_NODE(Solarize);

}  // namespace
}  // namespace flowrun
