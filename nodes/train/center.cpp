#include "nodes/lib/tensor/model/center.h"

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/target/sharpen.h"
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
    InList<Vectors> vectors{"vectors", "The teacher's scores, n K each; the mean is over the rows of all."};
    void describe(auto& port) { port(vectors); }
  };
  struct Params {
    Ref<model::Center> center;
    double momentum = 0.9;
    std::string per = "row";
    void describe(auto& param) {
      param.writes("center", center, "The model.center to move.");
      param("momentum", momentum, Range{0, 1}, "How much of the center stays.");
      param("per", per, choices(), "The mean over all rows, or over images of the mean of each image's rows (iBOT's patches).");
    }
    static const Choices& choices() {
      static const Choices choices = {"row", "image"};
      return choices;
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.require_width("vectors", params.center->width(), params.center.names[0],
                       "\"of\" of " + params.center.names[0] + " must name the head that makes them");
  }

  void fold(Ports& port, const FoldContext&) {
    Tensor sum;
    for (size_t i = 0; i < port.vectors.size(); ++i) {
      const Vectors& in = port.vectors[i];
      const Tensor own = target::sum_and_count(in.values_nD, params.per == "image" ? in.image_n : Tensor(), in.images).unsqueeze(0);
      sum = sum.defined() ? sum.add(own) : own;
    }
    sums_.push_back(sum);
  }

  void run(Ports&, StepContext& context) {
    const Tensor sums_GK = ranks::rows(context.run, sums_, "the sums of the center");
    Tensor sum = sums_GK.select(0, 0).clone();
    for (int64_t group = 1; group < sums_GK.size(0); ++group) sum.add_(sums_GK.select(0, group));
    const int64_t width = params.center->width();
    // Without rows, where nothing is hidden, the center stays.
    const Tensor count = sum.narrow(0, width, 1);
    params.center->move(sum.narrow(0, 0, width).div(count.clamp_min(1)), params.momentum, count.gt(0));
    sums_.clear();
  }

 private:
  std::vector<Tensor> sums_;  // [1, K + 1] of each group; the count of rows last, which groups need not share
};

FLOWRUN_NODE(MoveCenter);

}  // namespace
}  // namespace flowrun
