#include "graph/node.h"
#include "io/codec/mirror.h"
#include "nodes/lib/host/image/flips.h"

namespace flowrun {
namespace {

struct RandomVerticalFlip {
  static constexpr NodeInfo info{
      .type = "image.random_vertical_flip",
      .brief = "Turns upside down, as a mirror below would, with a given chance.",
      .scope = Scope::sample,
      .details = "torchvision 0.26's RandomVerticalFlip, in every bit. For pictures without an up and down: from above, through a microscope."};
  struct Ports {
    In<Image> image{"image", "H W 3 u8, or several views."};
    In<LabelMap> label_map{"label_map", "Class of each pixel, turned together with the image.", optional};
    Out<Image> out{"image", "The same, turned or not; each view is drawn separately.", InPlace{"image"}};
    Out<LabelMap> out_map{"label_map", "The same, turned or not; empty without a label map.", InPlace{"label_map"}};
    void describe(auto& port) { port(image, label_map, out, out_map); }
  };
  struct Params {
    image::Chances p{0.5};
    void describe(auto& param) { p.describe(param, "Chance of a turn; a list: of each view."); }
  };
  Params params;

  void plan(NodePlan& plan) const { params.p.plan(plan); }

  void run(Ports& port, const SampleContext& context) const {
    change_in_place(*port.image, *port.out);
    if (port.label_map) change_in_place(*port.label_map, *port.out_map);
    image::flip_by_chance({*port.out, port.label_map ? &*port.out_map : nullptr}, params.p, context, io::turn_over);
  }
};

FLOWRUN_NODE(RandomVerticalFlip);

}  // namespace
}  // namespace flowrun
