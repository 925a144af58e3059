#include "graph/node.h"
#include "nodes/lib/tensor/loss/compare.h"

namespace flowrun {
namespace {

struct SmoothL1Params : loss::Weighting {
  double beta = 1;
  void describe(auto& param) {
    param("beta", beta, Range{1e-6, 1e6}, "Where the quadratic part ends; I-JEPA 1, data2vec 2.");
    Weighting::describe(param);
  }
};

struct SmoothL1 : loss::Compare<SmoothL1, SmoothL1Params> {
  static constexpr NodeInfo info = loss::info({.type = "loss.smooth_l1",
                                               .brief = "Smooth L1 loss: quadratic below beta, linear above; I-JEPA's loss.",
                                               .details = "As torch.nn.SmoothL1Loss, over all elements, in float32."});
  loss::Options options() const { return {.kind = loss::Kind::smooth_l1, .beta = params.beta}; }
};

FLOWRUN_NODE(SmoothL1);

}  // namespace
}  // namespace flowrun
