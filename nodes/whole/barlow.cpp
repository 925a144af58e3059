#include "graph/node.h"
#include "nodes/lib/tensor/loss/coupled.h"
#include "nodes/lib/tensor/loss/coupling.h"
#include "nodes/lib/tensor/loss/view_loss.h"

namespace flowrun {
namespace {

struct Barlow {
  static constexpr NodeInfo info{
      .type = "whole.barlow",
      .brief = "The correlations between the features of two views become the identity: Barlow Twins.",
      .scope = Scope::whole,
      .details =
          "Each feature of each view is standardised over all pictures of the step, on all ranks (variance over n, eps 1e-5). C holds the means of "
          "products of a feature of one view with a feature of the other; the loss is the sum of (1 - C_ii)^2 plus lambda times the sum of "
          "C_ij^2 of different features, times scale."};
  struct Ports {
    In<Vectors> vectors{"vectors", "n D, two views of each picture."};
    Out<Coupled> coupled{"coupled", "For loss.couple."};
    void describe(auto& port) { port(vectors, coupled); }
  };
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

  void fold(Ports& port, const FoldContext& context) { coupling_.take({&*port.vectors}, context); }
  void run(const WholeContext& context) {
    coupling_.run(context,
                  [&](const std::vector<Tensor>& z) { return loss::barlow_twins(z[0], coupling_.views(), params.lambda).mul(params.scale); });
  }
  void give(Ports& port, const FoldContext& context) { coupling_.give(context, *port.coupled); }

 private:
  loss::Coupling coupling_;
};

FLOWRUN_NODE(Barlow);

}  // namespace
}  // namespace flowrun
