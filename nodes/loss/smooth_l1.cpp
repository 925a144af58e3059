#include "graph/node.h"
#include "nodes/lib/tensor/loss/compare.h"

namespace flowrun {
namespace {

struct SmoothL1 {
  static constexpr NodeInfo info{.type = "loss.smooth_l1",
                                 .brief = "Smooth L1 loss: quadratic below beta, linear above; I-JEPA's loss.",
                                 .scope = Scope::device,
                                 .details = "As torch.nn.SmoothL1Loss, over all elements, in float32.",
                                 .repeats = true};
  using Ports = loss::Ports;
  struct Params {
    loss::Weighting weighting;
    double beta = 1;
    void describe(auto& param) {
      param("beta", beta, Range{1e-6, 1e6}, "Where the quadratic part ends; I-JEPA 1, data2vec 2.");
      weighting.describe(param);
    }
  };
  Params params;

  void run(Ports& port, const GroupContext&) const {
    loss::compare(*port.prediction, *port.target, {.kind = loss::Kind::smooth_l1, .beta = params.beta}, params.weighting, *port.loss);
  }
};

FLOWRUN_NODE(SmoothL1);

}  // namespace
}  // namespace flowrun
