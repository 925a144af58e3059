#include "graph/node.h"
#include "nodes/lib/tensor/loss/coupled.h"
#include "nodes/lib/tensor/loss/coupling.h"
#include "nodes/lib/tensor/loss/view_loss.h"
#include "nodes/lib/tensor/model/rows.h"

namespace flowrun {
namespace {

struct Mmcr : loss::CoupledNode {
  static constexpr NodeInfo info{
      .type = "whole.mmcr",
      .brief = "Minus the nuclear norm of the matrix of the pictures' mean views: MMCR.",
      .scope = Scope::whole,
      .details =
          "Rows come to length 1. The loss is minus the nuclear norm (the sum of singular values) of the matrix of the pictures' means over their "
          "views, of all pictures of the step, on all ranks; plus lambda times the mean over pictures of the nuclear norm of a picture's views. With "
          "a "
          "moving average its rows are joined as further views by vectors.join, and have no gradient."};
  struct Params {
    double lambda = 0;
    void describe(auto& param) { param("lambda", lambda, not_negative, "Weight of the spread of a picture's own views; 0 on ImageNet."); }
  };
  Params params;

  void plan(NodePlan& plan) const {
    loss::plan_gathered(plan, {"vectors"});
    if (plan.known("vectors").views == 1) {
      plan.fault("vectors", "one view of a picture comes in, so its mean says nothing about views", "set count of image.random_crop to 2 or more");
    }
  }

  void run(const WholeContext& context) {
    coupling_.run(context, [&](const std::vector<Tensor>& z) { return loss::mmcr(model::unit_rows(z[0]), coupling_.views(), params.lambda); });
  }
};

FLOWRUN_NODE(Mmcr);

}  // namespace
}  // namespace flowrun
