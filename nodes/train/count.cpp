#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/model/counts.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {
namespace {

struct Count {
  static constexpr NodeInfo info{
      .type = "train.count",
      .brief = "Counts the likeliest class of each of this step's soft labels: shares = decay x shares + (1 - decay) x this step's.",
      .scope = Scope::step,
      .details =
          "Over all groups of the step and all ranks, so that it does not depend on the number of ranks. Rows whose weight is 0 don't count. The "
          "weights of the same step still used the shares before."};
  struct Ports {
    In<SoftLabels> soft_label{"soft_label", "n K."};
    void describe(auto& port) { port(soft_label); }
  };
  struct Params {
    Ref<model::Counts> counts;
    double decay = 0.9;
    void describe(auto& param) {
      param.writes("counts", counts, "The model.counts to move.");
      param("decay", decay, Range{0, 1}, "How much of the shares stays.");
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.require_width("soft_label", params.counts->classes(), params.counts.names[0], "set classes of " + params.counts.names[0] + " to that width");
  }

  void fold(Ports& port, const FoldContext&) {
    const SoftLabels& in = *port.soft_label;
    const Tensor likeliest_n = in.values_BC.argmax(1);
    // Whole numbers in float64 add up without error, in any order.
    const Tensor counted_n =
        in.weight_B.defined() ? in.weight_B.gt(0).to(at::kDouble) : at::ones(likeliest_n.sizes(), likeliest_n.options().dtype(at::kDouble));
    counts_.push_back(at::zeros({in.values_BC.size(1)}, counted_n.options()).scatter_add_(0, likeliest_n, counted_n).unsqueeze(0));
  }

  void run(Ports&, StepContext& context) {
    params.counts->move(ranks::rows(context.run, counts_, "the counts of classes").sum(0), params.decay);
    counts_.clear();
  }

 private:
  std::vector<Tensor> counts_;  // [1, K] of each group
};

FLOWRUN_NODE(Count);

}  // namespace
}  // namespace flowrun
