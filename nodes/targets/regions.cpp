#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/model/rows.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {
namespace {

struct RegionTargets {
  static constexpr NodeInfo info{
      .type = "targets.regions",
      .brief = "Of the soft labels of all patches those of the masks' target regions: CAPI.",
      .scope = Scope::device,
      .details = "Rows come mask by mask, region by region, patch by patch, as those of vectors.predicted. One mask for each picture.",
      .repeats = true};
  struct Ports {
    In<SoftLabels> all{"all", "Of all patches, picture by picture."};
    In<DeviceMasks> mask{"mask", "Its target regions."};
    Out<SoftLabels> soft_label{"soft_label", "One row for each target patch."};
    void describe(auto& port) { port(all, mask, soft_label); }
  };

  void plan(NodePlan& plan) const {
    const double rows = plan.group.rows * plan.group.masks.tokens(), width = plan.known("all").width;
    plan.out["soft_label"] = Planned::of({rows, width}, "float32", 4);
    plan.out["soft_label"].rows = rows, plan.out["soft_label"].width = width;
  }

  void run(Ports& port, const GroupContext&) const {
    const Tensor& targets_BRM = port.mask->targets_BRM;
    const int64_t images = targets_BRM.size(0), patches = port.mask->grid * port.mask->grid;
    if (port.mask->repeats != 1 || port.all->values_BC.size(0) != images * patches) {
      throw NodeError("there are " + std::to_string(port.all->values_BC.size(0)) + " rows of labels, and " + std::to_string(images) + " masks of " +
                      std::to_string(patches) + " patches: the labels must be those of all patches of the masked pictures, one mask each");
    }
    const Tensor rows = model::gather_rows(port.all->values_BC.unflatten(0, {images, patches}), targets_BRM);
    *port.soft_label = {.values_BC = rows.flatten(0, 2), .weight_B = {}, .views = 1};
  }
};

FLOWRUN_NODE(RegionTargets);

}  // namespace
}  // namespace flowrun
