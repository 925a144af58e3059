#include "graph/node.h"
#include "nodes/lib/tensor/loss/view_loss.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct MaskedSoftCrossEntropy {
  static constexpr NodeInfo info =
      loss::info({.type = "loss.masked_soft_cross_entropy",
                  .brief = "Cross-entropy between a student's scores of hidden patches and a teacher's soft labels of the same; iBOT's patch loss.",
                  .details = "By default the mean over all images of the mean over each one's rows, in float32. Images of which nothing is hidden "
                             "count with 0, as in iBOT and "
                             "DINOv2; a group in which nothing is hidden has the loss 0."});
  struct Ports {
    In<Vectors> scores{"scores", "The student's, n K, behind tokens.rows."};
    In<SoftLabels> target{"target", "The teacher's soft labels of the same rows, n K."};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(scores, target, loss); }
  };
  struct Params : loss::Weight {
    double temperature = 0.1;
    std::string per = "image";
    void describe(auto& param) {
      param("temperature", temperature, Range{1e-4, 100}, "Of the student.");
      param("per", per, choices(), "image: the mean over images of each one's mean. row: the mean over all rows of the group (UDI).");
      Weight::describe(param);
    }
    static const Choices& choices() {
      static const Choices choices = {"image", "row"};
      return choices;
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.require_equal("width", "scores", &Planned::width, "target");
    plan.require_equal("number of rows", "scores", &Planned::rows, "target", "both must be of the same patches of the same pictures");
  }

  int64_t variant(const GroupContext& context) const { return params.variant(context); }

  void run(Ports& port, const GroupContext& context) const {
    const Vectors& scores = *port.scores;
    if (!scores.image_n.defined()) throw NodeError("the scores are of whole images, not of patches: put tokens.rows before the head");
    const Tensor image_n = params.per == "image" ? scores.image_n : Tensor();
    const Tensor value = loss::masked_soft_cross_entropy(scores.values_nD, port.target->values_BC, image_n, scores.images, params.temperature);
    params.give(value, context, *port.loss);
  }
};

FLOWRUN_NODE(MaskedSoftCrossEntropy);

}  // namespace
}  // namespace flowrun
