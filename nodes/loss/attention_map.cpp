#include "graph/node.h"
#include "nodes/lib/tensor/loss/stage_loss.h"
#include "nodes/lib/tensor/loss/stages.h"

namespace flowrun {
namespace {

struct AttentionMap : loss::OnStages<AttentionMap> {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.attention_map",
       .brief = "A student's stages attend to the places that the teacher's attend to: attention transfer.",
       .details =
           "The attention map of a stage is the mean of its squared channels, at length 1; the mean squared difference over images and places, "
           "summed over the stages, in float32 (Zagoruyko and Komodakis, 2017). Channels may differ; the larger map is average-pooled to the "
           "smaller one's size. The published weight is 1000, for stages behind the stem."});
  static constexpr loss::Channels channels = loss::Channels::any;
  static Tensor value(const std::vector<Tensor>& student, const std::vector<Tensor>& teacher) {
    return loss::sum_of_stages(student, teacher, loss::attention_map);
  }
};

FLOWRUN_NODE(AttentionMap);

}  // namespace
}  // namespace flowrun
