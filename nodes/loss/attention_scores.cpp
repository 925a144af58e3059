#include "graph/node.h"
#include "nodes/lib/tensor/loss/attention.h"
#include "nodes/lib/tensor/loss/attention_loss.h"

namespace flowrun {
namespace {

struct ScoresParams : loss::Weight {
  std::string form = "mse", heads = "each";
  void describe(auto& param) {
    param("form", form, forms(), "mse: of the scores before the softmax (TinyBERT). kl: the divergence of their softmax (MiniLM).");
    param("heads", heads, kinds(), "each: head is compared with head, equally many in both. mean: the mean over each network's heads.");
    Weight::describe(param);
  }
  static const Choices& forms() {
    static const Choices choices = {"mse", "kl"};
    return choices;
  }
  static const Choices& kinds() {
    static const Choices choices = {"each", "mean"};
    return choices;
  }
};

struct AttentionScores : loss::OnAttention<AttentionScores, ScoresParams> {
  static constexpr NodeInfo info =
      loss::info({.type = "loss.attention_scores",
                  .brief = "Difference between the attention of student and teacher, block by block: squared error of the scores, or KL divergence.",
                  .details = "Of q k' / sqrt(width of a head), in float32: the mean squared difference, or the divergence of their softmax from the "
                             "teacher's, the mean over images, heads and tokens; the sum over blocks. Widths may differ."});

  bool needs_heads() const { return params.heads == "each"; }
  Tensor value(const model::AttentionTap& student, const model::AttentionTap& teacher) const {
    return loss::attention_scores({student.query_BHSE, student.key_BHSE}, {teacher.query_BHSE, teacher.key_BHSE},
                                  {.divergence = params.form == "kl", .mean_of_heads = params.heads == "mean"});
  }
};

FLOWRUN_NODE(AttentionScores);

}  // namespace
}  // namespace flowrun
