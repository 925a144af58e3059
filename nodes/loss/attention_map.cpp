#include "graph/node.h"
#include "nodes/lib/tensor/loss/stage_loss.h"
#include "nodes/lib/tensor/loss/stages.h"

namespace flowrun {
namespace {

struct AttentionMapParams : loss::Weight {
  std::string distance = "squared";
  void describe(auto& param) {
    param("distance", distance, distances(), "Of two attention maps, the mean over places: of squared differences, or of absolute ones (FT).");
    Weight::describe(param);
  }
  static const Choices& distances() {
    static const Choices choices = {"squared", "absolute"};
    return choices;
  }
};

struct AttentionMap : loss::OnStages<AttentionMap, AttentionMapParams> {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.attention_map",
       .brief = "Squared difference between the spatial attention maps of student and teacher stages: attention transfer.",
       .details =
           "The attention map of a stage is the mean of its squared channels, at length 1; the mean squared difference over images and places, "
           "summed over the stages, in float32 (Zagoruyko and Komodakis, 2017). Channels may differ; the larger map is average-pooled to the "
           "smaller one's size. The published weight is 1000, for stages behind the stem. Absolute differences of the factors that maps.factors "
           "makes "
           "are factor transfer as RepDistiller has it, with the weight 200."});
  static constexpr loss::Channels channels = loss::Channels::any;
  Tensor value(const std::vector<Tensor>& student, const std::vector<Tensor>& teacher) const {
    const auto distance = params.distance == "absolute" ? loss::Distance::absolute : loss::Distance::squared;
    return loss::sum_of_stages(
        student, teacher, [&](const Tensor& of_student, const Tensor& of_teacher) { return loss::attention_map(of_student, of_teacher, distance); });
  }
};

FLOWRUN_NODE(AttentionMap);

}  // namespace
}  // namespace flowrun
