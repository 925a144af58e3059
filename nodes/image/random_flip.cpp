#include "graph/node.h"
#include "io/codec/mirror.h"
#include "nodes/lib/host/image/flips.h"
#include "nodes/lib/host/types/matches.h"

namespace flowrun {
namespace {

struct RandomFlip {
  static constexpr NodeInfo info{.type = "image.random_flip", .brief = "Mirrors left-right with a given chance.", .scope = Scope::sample};
  struct Ports {
    In<Image> image{"image", "H W 3 u8, or several views."};
    In<LabelMap> label_map{"label_map", "Class of each pixel, mirrored together with the image.", optional};
    Out<Image> out{"image", "The same, mirrored or not; each view is drawn separately.", InPlace{"image"}};
    Out<LabelMap> out_map{"label_map", "The same, mirrored or not; empty without a label map.", InPlace{"label_map"}};
    Out<Mirrored> mirrored{"mirrored", "Whether each view was mirrored."};
    void describe(auto& port) { port(image, label_map, out, out_map, mirrored); }
  };
  struct Params {
    image::Chances p{0.5};
    void describe(auto& param) { p.describe(param, "Chance of a flip; a list: of each view."); }
  };
  Params params;

  void plan(NodePlan& plan) const { params.p.plan(plan); }

  void run(Ports& port, const SampleContext& context) const {
    change_in_place(*port.image, *port.out);
    if (port.label_map) change_in_place(*port.label_map, *port.out_map);
    image::flip_by_chance({*port.out, port.label_map ? &*port.out_map : nullptr, &port.mirrored->views}, params.p, context, io::mirror);
  }
};

FLOWRUN_NODE(RandomFlip);

}  // namespace
}  // namespace flowrun
