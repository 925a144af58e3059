#include "graph/node.h"
#include "io/codec/color.h"
#include "nodes/lib/host/types/views.h"

namespace flowrun {
namespace {

struct Grayscale {
  static constexpr NodeInfo info{.type = "image.grayscale",
                                 .brief = "Makes images gray with a given chance.",
                                 .scope = Scope::sample,
                                 .details =
                                     "torchvision 0.26's RandomGrayscale on Pillow 12 images, in every bit: the luma (ITU-R 601-2) in all three "
                                     "channels."};
  struct Ports {
    In<Image> image{"image", "H W 3 u8, or several views."};
    Out<Image> out{"image", "The same, gray or not; each view is drawn separately.", InPlace{"image"}};
    void describe(auto& port) { port(image, out); }
  };
  struct Params {
    image::Chances p{0.2};
    void describe(auto& param) { p.describe(param, "Chance that an image becomes gray; a list: of each view."); }
  };
  Params params;

  void plan(NodePlan& plan) const { params.p.plan(plan); }

  void run(Ports& port, const SampleContext& context) const {
    image::change_colours(*port.image, *port.out, params.p, context, [&](uint8_t* pixels, int64_t count, Rng rng, double p) -> uint64_t {
      if (!rng.chance(p)) return 2;
      io::to_gray(pixels, count);
      return 1;
    });
  }
};

FLOWRUN_NODE(Grayscale);

}  // namespace
}  // namespace flowrun
