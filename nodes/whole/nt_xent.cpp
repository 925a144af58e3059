#include "graph/node.h"
#include "nodes/lib/tensor/loss/coupled.h"
#include "nodes/lib/tensor/loss/coupling.h"
#include "nodes/lib/tensor/loss/view_loss.h"
#include "nodes/lib/tensor/model/rows.h"

namespace flowrun {
namespace {

struct NtXent : loss::CoupledNode {
  static constexpr NodeInfo info{
      .type = "whole.nt_xent",
      .brief = "Cross-entropy of each picture's other view among all views of all pictures of the step: SimCLR's loss.",
      .scope = Scope::whole,
      .details =
          "Over the rows of all groups of the step, on all ranks, brought to length 1: the cross-entropy of the products over the temperature, where "
          "the other view of the picture is the answer among all other rows of both views. The mean over pictures and, with sides mean, over "
          "the two views. SimCLR's code adds the two (sides sum); under LARS that is the same, under other optimizers it doubles the step."};
  struct Params {
    double temperature = 0.1;
    std::string sides = "sum";
    void describe(auto& param) {
      param("temperature", temperature, Range{1e-4, 100}, "SimCLR 0.1 in code; 0.5 on CIFAR.");
      param("sides", sides, choices(), "Whether the losses of the two views are added, or averaged.");
    }
    static const Choices& choices() {
      static const Choices choices = {"sum", "mean"};
      return choices;
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    loss::plan_gathered(plan, {"vectors"});
    loss::check_two_views(plan, "vectors");
  }

  void run(const WholeContext& context) {
    coupling_.run(context, [&](const std::vector<Tensor>& z) {
      const Tensor mean = loss::nt_xent(model::unit_rows(z[0]), coupling_.views(), params.temperature);
      return params.sides == "sum" ? mean.mul(2) : mean;
    });
  }
};

FLOWRUN_NODE(NtXent);

}  // namespace
}  // namespace flowrun
