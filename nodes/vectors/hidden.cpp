#include <ATen/ops/index_select.h>

#include "graph/node.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct HiddenVectors {
  static constexpr NodeInfo info{.type = "vectors.hidden",
                                 .brief = "The vectors of the hidden patches, out of those of all patches.",
                                 .scope = Scope::device,
                                 .details =
                                     "iBOT's teacher computes prototype scores of all patches, since its center is the mean of all, but only hidden "
                                     "ones are targets. Where that isn't needed, tokens.rows picks them before the head, which is cheaper.",
                                 .repeats = true};
  struct Ports {
    In<Vectors> vectors{"vectors", "Of all patches, behind tokens.rows with what \"all\"."};
    In<DeviceMasks> mask{"mask", "Says which are hidden."};
    Out<Vectors> out{"vectors", "n D."};
    void describe(auto& port) { port(vectors, mask, out); }
  };

  void plan(NodePlan& plan) const { plan.out["vectors"] = Vectors::planned(plan.group.rows * plan.group.masks.hidden, plan.known("vectors").width); }

  void run(Ports& port, const GroupContext&) const {
    const Vectors& all = *port.vectors;
    const DeviceMasks& masks = *port.mask;
    if (!masks.ordered_n.defined() || masks.ordered_n.size(0) != all.values_nD.size(0)) {
      throw NodeError("the vectors are not those of all patches: set \"what\" of tokens.rows to \"all\", and connect the mask of these pictures");
    }
    *port.out = all;
    port.out->values_nD = at::index_select(all.values_nD, 0, masks.hidden_n());
    port.out->image_n = at::index_select(all.image_n, 0, masks.hidden_n());
  }
};

FLOWRUN_NODE(HiddenVectors);

}  // namespace
}  // namespace flowrun
