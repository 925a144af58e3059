#include "graph/node.h"
#include "nodes/lib/tensor/loss/stage_loss.h"
#include "nodes/lib/tensor/loss/stages.h"

namespace flowrun {
namespace {

struct Fsp : loss::OnStages<Fsp> {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.fsp",
       .brief = "Squared difference between the channel products of consecutive stages of student and teacher: FSP (flow of solution procedure).",
       .details =
           "Of each stage and the one after it in the list: the products of their channels, the mean over the places, at the size of the smaller "
           "map; "
           "the mean squared difference, summed over these pairs, in float32 (Yim et al., 2017). Stages need as many channels as the teacher's. "
           "The published weight is 50, for all stages with the stem."});
  static constexpr loss::Channels channels = loss::Channels::equal;

  void plan(NodePlan& plan) const {
    OnStages::plan(plan);
    const std::vector<StageShape> stages = FeatureMaps::planned_stages(plan.known("student"));
    if (stages.size() == 1) plan.fault("student", "one map comes in", "set two stages or more");
  }

  static Tensor value(const std::vector<Tensor>& student, const std::vector<Tensor>& teacher) {
    if (student.size() < 2) throw NodeError("one map comes in: set two stages or more");
    Tensor sum;
    for (size_t i = 0; i + 1 < student.size(); ++i) {
      const Tensor of_pair = loss::solution_flow({student[i], student[i + 1]}, {teacher[i], teacher[i + 1]});
      sum = sum.defined() ? sum.add(of_pair) : of_pair;
    }
    return sum;
  }
};

FLOWRUN_NODE(Fsp);

}  // namespace
}  // namespace flowrun
