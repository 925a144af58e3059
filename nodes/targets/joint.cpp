#include <ATen/ops/arange.h>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct JointLabels {
  static constexpr NodeInfo info{
      .type = "targets.joint",
      .brief = "A class for each pair of a picture's class and its view: label x views + view, of turned pictures (SLA).",
      .scope = Scope::device,
      .details =
          "Behind image.rotations with four views a head tells which class a picture has and how it is turned (Lee et al., 2020). The label is "
          "that of the source, which each view of a picture has.",
      .repeats = true};
  struct Ports {
    In<DeviceLabels> label{"label", "Classes of the pictures, once for each view."};
    In<Vectors> vectors{"vectors", "Of the same views; says how many a picture has."};
    Out<DeviceLabels> joint{"label", "The class of each view."};
    Out<DeviceLabels> of_picture{"picture", "The class of each picture, one for all its views."};
    void describe(auto& port) { port(label, vectors, joint, of_picture); }
  };

  void plan(NodePlan& plan) const {
    plan.require_equal("number of views", "label", &Planned::views, "vectors", "both must come from the same batch");
    const double views = plan.known("vectors").views;
    if (views == 1) plan.fault("vectors", "one view of a picture comes in, so there is nothing to pair", "put an image.rotations before the stack");
    plan.out["label"] = Planned::of({plan.group.images}, "int64", 8);
    plan.out["picture"] = Planned::of({plan.group.images / plan.group.views}, "int64", 8);
    plan.out["picture"].views = 1, plan.out["picture"].certain = views > 0;
  }

  void run(Ports& port, const GroupContext&) const {
    const Tensor& labels = port.label->labels_B;
    if (!labels.defined()) throw NodeError("there are no labels: connect label from the source to batch.stack and device.upload");
    const int64_t views = port.vectors->views, rows = labels.size(0);
    if (rows != port.vectors->values_nD.size(0)) {
      throw NodeError("there are " + std::to_string(rows) + " labels for " + std::to_string(port.vectors->values_nD.size(0)) +
                      " rows: connect vectors and label of the same pictures");
    }
    const Tensor by_picture = labels.reshape({-1, views});
    const ClassRange range = port.label->range.of(labels);
    port.joint->labels_B = by_picture.mul(views).add(at::arange(views, labels.options())).flatten();
    port.joint->range = {.known = true, .least = range.least < 0 ? range.least : range.least * views, .most = range.most * views + views - 1};
    port.of_picture->labels_B = by_picture.select(1, 0).contiguous();
    port.of_picture->range = range;
  }
};

FLOWRUN_NODE(JointLabels);

}  // namespace
}  // namespace flowrun
