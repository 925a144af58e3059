#include "graph/node.h"
#include "nodes/lib/tensor/loss/compare.h"

namespace flowrun {
namespace {

struct L1 : loss::Compare<L1> {
  static constexpr NodeInfo info =
      loss::info({.type = "loss.l1", .brief = "Mean absolute error over all elements; SimMIM's loss.", .details = "In float32."});
  static loss::Options options() { return {.kind = loss::Kind::l1}; }
};

FLOWRUN_NODE(L1);

}  // namespace
}  // namespace flowrun
