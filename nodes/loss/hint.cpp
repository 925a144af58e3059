#include "graph/node.h"
#include "nodes/lib/tensor/loss/stage_loss.h"
#include "nodes/lib/tensor/loss/stages.h"

namespace flowrun {
namespace {

struct Hint : loss::OnStages<Hint> {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.hint",
       .brief = "Squared difference between the maps of student and teacher stages: the hints of FitNets.",
       .details =
           "Mean squared difference of all elements, summed over the stages, in float32 (Romero et al., 2015). Where channels differ, maps.regress "
           "stands before the student's input; the larger map is average-pooled to the smaller one's size. The published weight is 100."});
  static constexpr loss::Channels channels = loss::Channels::equal;
  static Tensor value(const std::vector<Tensor>& student, const std::vector<Tensor>& teacher) {
    return loss::sum_of_stages(student, teacher, loss::hint);
  }
};

FLOWRUN_NODE(Hint);

}  // namespace
}  // namespace flowrun
