#include <ATen/core/grad_mode.h>

#include "graph/node.h"
#include "nodes/lib/tensor/metric/compare_networks.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct Similarity {
  static constexpr NodeInfo info{
      .type = "eval.similarity",
      .brief = "How alike two networks represent the same pictures: linear centred kernel alignment.",
      .scope = Scope::evaluation,
      .details =
          "Reports cka in 0..1 (Kornblith et al., 2019), in float64; turns and scales of the features don't change it. To weigh several teachers "
          "by their likeness to the task's own network (DistillWeighted), or to see whether a student resembles its teacher."};
  struct Ports {
    In<Vectors> a{"a", "One network's vectors, B D."};
    In<Vectors> b{"b", "The other's, of the same images; the width may be another."};
    void describe(auto& port) { port(a, b); }
  };
  static std::vector<std::string> reports() { return {"cka"}; }

  void fold(Ports& port, const FoldContext&) {
    const at::NoGradGuard no_grad;
    if (port.a->values_nD.size(0) != port.b->values_nD.size(0)) {
      throw NodeError("a has " + std::to_string(port.a->values_nD.size(0)) + " rows, b " + std::to_string(port.b->values_nD.size(0)));
    }
    a_.push_back(port.a->values_nD.to(at::kFloat)), b_.push_back(port.b->values_nD.to(at::kFloat));
  }

  void run(Ports&, EvaluationContext& context) {
    const Tensor a = ranks::rows(context.run, a_, "gathering vectors"), b = ranks::rows(context.run, b_, "gathering vectors");
    context.report("cka", eval::linear_cka(a, b));
  }

 private:
  std::vector<Tensor> a_, b_;  // of each group
};

FLOWRUN_NODE(Similarity);

}  // namespace
}  // namespace flowrun
