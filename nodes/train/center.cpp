#include "nodes/lib/tensor/model/center.h"

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct MoveCenter {
  static constexpr NodeInfo info{
      .type = "train.center",
      .brief = "Moves the center towards the mean of this step's scores: center = momentum x center + (1 - momentum) x mean.",
      .scope = Scope::step,
      .details =
          "Over all groups of the step and all ranks, summed in float64 in the order of the groups, so that it does not depend on the number "
          "of ranks. The targets of the same step still used the center before (DINO)."};
  struct Ports {
    In<Vectors> vectors{"vectors", "n K: the teacher's scores."};
    void describe(auto& port) { port(vectors); }
  };
  struct Params {
    Ref<model::Center> center;
    double momentum = 0.9;
    void describe(auto& param) {
      param.writes("center", center, "The model.center to move.");
      param("momentum", momentum, Range{0, 1}, "How much of the center stays.");
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.require_width("vectors", params.center->width(), params.center.names[0],
                       "\"of\" of " + params.center.names[0] + " must name the head that makes them");
  }

  void fold(Ports& port, const FoldContext&) {
    const Tensor& scores = port.vectors->values_nD;
    sums_.push_back(scores.detach().to(at::kDouble).sum(0, /*keepdim=*/true));
    rows_ += scores.size(0);
  }

  void run(Ports&, StepContext& context) {
    const Tensor sums_GK = ranks::rows(context.run, sums_, "the sums of the center");
    const int64_t rows = rows_ * context.run.world;  // every rank has equally many groups
    Tensor sum_K = sums_GK.select(0, 0).clone();
    for (int64_t group = 1; group < sums_GK.size(0); ++group) sum_K.add_(sums_GK.select(0, group));
    params.center->move(sum_K.div_(static_cast<double>(rows)), params.momentum);
    sums_.clear(), rows_ = 0;
  }

 private:
  std::vector<Tensor> sums_;  // [1, K] of each group
  int64_t rows_ = 0;
};

FLOWRUN_NODE(MoveCenter);

}  // namespace
}  // namespace flowrun
