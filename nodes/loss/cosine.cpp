#include "graph/node.h"
#include "nodes/lib/tensor/loss/compare.h"

namespace flowrun {
namespace {

struct Cosine : loss::Compare<Cosine> {
  static constexpr NodeInfo info = loss::info({.type = "loss.cosine",
                                               .brief = "One minus the cosine between prediction and target, token by token and block by block.",
                                               .details = "In float32; the length of both does not matter."});
  static loss::Options options() { return {.kind = loss::Kind::cosine}; }
};

FLOWRUN_NODE(Cosine);

}  // namespace
}  // namespace flowrun
