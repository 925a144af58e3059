#include "graph/node.h"
#include "nodes/lib/tensor/loss/view_loss.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct SoftCrossEntropy {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.soft_cross_entropy",
       .brief = "Cross-entropy between a student's scores of views and a teacher's soft labels of other views; DINO's loss.",
       .details = "The mean over pictures and pairs of -sum q log softmax(scores / temperature), in float32. The pairs are never listed in memory."});
  struct Ports {
    In<Vectors> large{"large", "The student's scores of large views, n K."};
    In<Vectors> small{"small", "Of small views, which the teacher does not see.", optional};
    In<SoftLabels> target{"target", "The teacher's soft labels of the large views, n K."};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(large, small, target, loss); }
  };
  struct Params : loss::Weight {
    double temperature = 0.1;
    std::string pairs = "all_but_same";
    void describe(auto& param) {
      param("temperature", temperature, Range{1e-4, 100}, "Of the student.");
      param("pairs", pairs, loss::label_choices(), loss::label_pairs_brief);
      Weight::describe(param);
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    loss::check_views(plan, "large", "target", params.pairs);
    plan.require_equal("width", "large", &Planned::width, "small");
  }

  int64_t variant(const GroupContext& context) const { return params.variant(context); }

  void run(Ports& port, const GroupContext& context) const {
    loss::require_views(port.large->views, port.target->views, params.pairs);
    const Tensor small = port.small ? port.small->values_nD : Tensor();
    Tensor target = port.target->values_BC;
    if (params.pairs == "own") target = target.view({-1, port.target->views / port.large->views, target.size(1)}).mean(1);
    const Tensor value = loss::soft_cross_entropy(port.large->values_nD, small, target, port.large->views, port.small ? port.small->views : 0,
                                                  loss::pairs(params.pairs), params.temperature);
    params.give(value, context, *port.loss);
  }
};

FLOWRUN_NODE(SoftCrossEntropy);

}  // namespace
}  // namespace flowrun
