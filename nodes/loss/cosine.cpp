#include "graph/node.h"
#include "nodes/lib/tensor/loss/compare.h"

namespace flowrun {
namespace {

struct Cosine {
  static constexpr NodeInfo info{.type = "loss.cosine",
                                 .brief = "One minus the cosine between prediction and target, token by token and block by block.",
                                 .scope = Scope::device,
                                 .details = "In float32; the length of both does not matter.",
                                 .repeats = true};
  using Ports = loss::Ports;
  struct Params {
    loss::Weighting weighting;
    void describe(auto& param) { weighting.describe(param); }
  };
  Params params;

  void run(Ports& port, const GroupContext&) const {
    loss::compare(*port.prediction, *port.target, {.kind = loss::Kind::cosine}, params.weighting, *port.loss);
  }
};

FLOWRUN_NODE(Cosine);

}  // namespace
}  // namespace flowrun
