#include "graph/node.h"
#include "nodes/lib/tensor/loss/compare.h"

namespace flowrun {
namespace {

struct L1 {
  static constexpr NodeInfo info{.type = "loss.l1",
                                 .brief = "Mean absolute error over all elements; SimMIM's loss.",
                                 .scope = Scope::device,
                                 .details = "In float32.",
                                 .repeats = true};
  using Ports = loss::Ports;
  struct Params {
    loss::Weighting weighting;
    void describe(auto& param) { weighting.describe(param); }
  };
  Params params;

  void run(Ports& port, const GroupContext&) const {
    loss::compare(*port.prediction, *port.target, {.kind = loss::Kind::l1}, params.weighting, *port.loss);
  }
};

FLOWRUN_NODE(L1);

}  // namespace
}  // namespace flowrun
