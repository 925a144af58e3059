#include <ATen/ops/arange.h>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct PredictedVectors {
  static constexpr NodeInfo info{.type = "vectors.predicted",
                                 .brief = "A prediction of target patches as vectors, one row for each patch, for a head: CAPI.",
                                 .scope = Scope::device,
                                 .details = "Rows come mask by mask, region by region, patch by patch; those of targets.regions match them.",
                                 .repeats = true};
  struct Ports {
    In<Prediction> prediction{"prediction", "B R M O."};
    Out<Vectors> vectors{"vectors", "One row of O for each target patch."};
    void describe(auto& port) { port(prediction, vectors); }
  };

  void plan(NodePlan& plan) const {
    plan.out["vectors"] = Vectors::planned(plan.group.rows * plan.group.masks.tokens(), plan.known("prediction").width);
  }

  void run(Ports& port, const GroupContext&) const {
    const Tensor& values = port.prediction->values;
    const Tensor image = at::arange(values.size(0), values.options().dtype(at::kLong));
    *port.vectors = {
        .values_nD = values.flatten(0, 2), .views = 1, .image_n = image.repeat_interleave(values.size(1) * values.size(2)), .images = values.size(0)};
  }
};

FLOWRUN_NODE(PredictedVectors);

}  // namespace
}  // namespace flowrun
