#include "graph/node.h"
#include "nodes/lib/tensor/loss/coupled.h"
#include "nodes/lib/tensor/loss/coupling.h"
#include "nodes/lib/tensor/loss/view_loss.h"

namespace flowrun {
namespace {

struct Vicreg : loss::CoupledNode {
  static constexpr NodeInfo info{
      .type = "whole.vicreg",
      .brief = "Squared difference between views, and penalties of low variance and of covariance of the features: VICReg.",
      .scope = Scope::whole,
      .details =
          "Over all pictures of the step, on all ranks: invariance times the mean squared difference of the two views; variance times, for each "
          "view, half of the mean over features of relu(1 - sqrt(variance + 1e-4)); covariance times, for each view, the sum of squared "
          "covariances of different features over D. Variances and covariances are over n - 1. With invariance 0 one view is enough (C-JEPA)."};
  struct Params {
    double invariance = 25, variance = 25, covariance = 1;
    void describe(auto& param) {
      param("invariance", invariance, not_negative, "Weight of the difference between the views.");
      param("variance", variance, not_negative, "Weight of the spread of features.");
      param("covariance", covariance, not_negative, "Weight of covariances.");
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    loss::plan_gathered(plan, {"vectors"});
    if (params.invariance > 0) loss::check_two_views(plan, "vectors");
  }

  void run(const WholeContext& context) {
    const loss::VicregWeights weights{params.invariance, params.variance, params.covariance};
    coupling_.run(context, [&](const std::vector<Tensor>& z) { return loss::vicreg(z[0], coupling_.views(), weights); });
  }
};

FLOWRUN_NODE(Vicreg);

}  // namespace
}  // namespace flowrun
