#include "graph/node.h"
#include "nodes/lib/tensor/loss/coupled.h"
#include "nodes/lib/tensor/loss/coupling.h"
#include "nodes/lib/tensor/loss/view_loss.h"

namespace flowrun {
namespace {

struct Barlow : loss::CoupledNode {
  static constexpr NodeInfo info{
      .type = "whole.barlow",
      .brief = "Squared distance of the cross-correlation between two views' features from the identity: Barlow Twins.",
      .scope = Scope::whole,
      .details =
          "Each feature of each view is standardised over all pictures of the step, on all ranks (variance over n, eps 1e-5). C holds the means of "
          "products of a feature of one view with a feature of the other; the loss is the sum of (1 - C_ii)^2 plus lambda times the sum of "
          "C_ij^2 of different features, times scale."};
  struct Params {
    double lambda = 0.0051, scale = 1;
    void describe(auto& param) {
      param("lambda", lambda, not_negative, "Weight of different features.");
      param("scale", scale, Range{1e-6, 1e6}, "Factor of the loss; solo-learn's recipes have 0.1.");
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    loss::plan_gathered(plan, {"vectors"});
    loss::check_two_views(plan, "vectors");
  }

  void run(const WholeContext& context) {
    coupling_.run(context,
                  [&](const std::vector<Tensor>& z) { return loss::barlow_twins(z[0], coupling_.views(), params.lambda).mul(params.scale); });
  }
};

FLOWRUN_NODE(Barlow);

}  // namespace
}  // namespace flowrun
