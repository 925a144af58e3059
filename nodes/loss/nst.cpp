#include "graph/node.h"
#include "nodes/lib/tensor/loss/stage_loss.h"
#include "nodes/lib/tensor/loss/stages.h"

namespace flowrun {
namespace {

struct Nst : loss::OnStages<Nst> {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.nst",
       .brief = "Squared maximum mean discrepancy between the channels of student and teacher stages: neuron selectivity transfer.",
       .details =
           "The squared maximum mean discrepancy between the channels of a stage, each at length 1 over the places, with the kernel (x.y)²; summed "
           "over "
           "the stages, in float32 (Huang and Wang, 2017). The number of channels may differ; the larger map is average-pooled to the smaller one's "
           "size. The published weight is 50."});
  static constexpr loss::Channels channels = loss::Channels::any;
  static Tensor value(const std::vector<Tensor>& student, const std::vector<Tensor>& teacher) {
    return loss::sum_of_stages(student, teacher, loss::neuron_selectivity);
  }
};

FLOWRUN_NODE(Nst);

}  // namespace
}  // namespace flowrun
