#include "graph/node.h"
#include "nodes/lib/tensor/loss/stage_loss.h"
#include "nodes/lib/tensor/loss/stages.h"

namespace flowrun {
namespace {

struct BoundariesParams : loss::Weight {
  double margin = 1;
  void describe(auto& param) {
    param("margin", margin, Range{0, 1e6}, "By how much the student's values should be on their side of 0.");
    Weight::describe(param);
  }
};

struct ActivationBoundaries : loss::OnStages<ActivationBoundaries, BoundariesParams> {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.activation_boundaries",
       .brief = "Penalises student values whose sign before the ReLU differs from the teacher's: activation boundaries.",
       .details =
           "Of maps before their ReLU (before_relu of encode.images; Heo et al., 2019): the square of what a student's value lacks to the margin on "
           "the side where the teacher's is, positive or not; summed over channels and places, the mean over images, in float32. The last map counts "
           "once, each one before it half as much as the next. Where channels differ, maps.regress stands before the student's input; the larger map "
           "is average-pooled to the smaller one's size. The benchmark's weight is 0.003, for stages behind the stem."});
  static constexpr loss::Channels channels = loss::Channels::equal;
  Tensor value(const std::vector<Tensor>& student, const std::vector<Tensor>& teacher) const {
    return loss::activation_boundaries(student, teacher, params.margin);
  }
};

FLOWRUN_NODE(ActivationBoundaries);

}  // namespace
}  // namespace flowrun
