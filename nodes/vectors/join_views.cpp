#include <algorithm>

#include "graph/node.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct JoinViews {
  static constexpr NodeInfo info{
      .type = "vectors.join_views",
      .brief = "The vectors of a picture's views side by side: one row for each picture.",
      .scope = Scope::device,
      .details =
          "Jigsaw: the vectors of nine tiles become one row, of which a head tells their order. A head behind it has joined set to the number of "
          "views. Of the labels one is left for each picture, that of its first view.",
      .repeats = true};
  struct Ports {
    In<Vectors> vectors{"vectors", "n D, V rows for each picture."};
    In<DeviceLabels> label{"label", "Classes of the rows.", optional};
    Out<Vectors> out{"vectors", "n / V rows of V x D."};
    Out<DeviceLabels> of_picture{"label", "n / V classes; empty without labels."};
    void describe(auto& port) { port(vectors, label, out, of_picture); }
  };

  void plan(NodePlan& plan) const {
    const Planned in = plan.known("vectors");
    if (in.views == 1) {
      plan.fault("vectors", "one view of a picture comes in, so there is nothing to join",
                 "make several views, with image.tiles or count of image.random_crop");
    }
    const double views = std::max(1.0, in.views), pictures = plan.group.images / views;
    plan.out["vectors"] = Vectors::planned(pictures, in.width * views);
    plan.out["label"] = Planned::of({pictures}, "int64", 8);
    for (const char* name : {"vectors", "label"}) plan.out[name].views = 1, plan.out[name].certain = in.views > 0;
  }

  void run(Ports& port, const GroupContext&) const {
    const Vectors& in = *port.vectors;
    if (in.image_n.defined()) throw NodeError("vectors of chosen tokens can't be joined: their images have no equal number of them");
    const int64_t pictures = in.values_nD.size(0) / in.views;
    *port.out = {.values_nD = in.values_nD.reshape({pictures, in.views * in.values_nD.size(1)}), .views = 1, .image_n = {}, .images = pictures};
    *port.of_picture = DeviceLabels();
    if (!port.label || !port.label->labels_B.defined()) return;
    if (port.label->labels_B.size(0) != in.values_nD.size(0)) {
      throw NodeError("there are " + std::to_string(port.label->labels_B.size(0)) + " labels for " + std::to_string(in.values_nD.size(0)) +
                      " rows: connect vectors and label of the same pictures");
    }
    port.of_picture->labels_B = port.label->labels_B.reshape({pictures, in.views}).select(1, 0).contiguous();
    port.of_picture->range = port.label->range;
  }
};

FLOWRUN_NODE(JoinViews);

}  // namespace
}  // namespace flowrun
