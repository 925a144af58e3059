#include "graph/node.h"
#include "nodes/lib/tensor/loss/view_loss.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct NegativeCosine {
  static constexpr NodeInfo info =
      loss::info({.type = "loss.negative_cosine",
                  .brief = "Minus the cosine between predictions of views and targets of other views: SimSiam; as 2 - 2 cos, BYOL.",
                  .details = "The mean over pictures and pairs, in float32. No gradient reaches the target, unless stop is false: SimSiam then "
                             "collapses, which its paper shows."});
  struct Ports {
    In<Vectors> prediction{"prediction", "The student's predictions, n D."};
    In<Vectors> target{"target", "n D, of the same views."};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(prediction, target, loss); }
  };
  struct Params : loss::Weight {
    std::string pairs = "cross", form = "minus";
    bool stop = true;
    void describe(auto& param) {
      param("pairs", pairs, loss::pair_choices(), loss::pairs_brief);
      param("form", form, forms(), "minus: -cos. two_minus_two: 2 - 2 cos, the squared distance of rows of length 1.");
      param("stop", stop, "Whether no gradient reaches the target.");
      Weight::describe(param);
    }
    static const Choices& forms() {
      static const Choices choices = {"minus", "two_minus_two"};
      return choices;
    }
  };
  Params params;

  void plan(NodePlan& plan) const { loss::check_views(plan, "prediction", "target", params.pairs); }

  int64_t variant(const GroupContext& context) const { return params.variant(context); }

  void run(Ports& port, const GroupContext& context) const {
    const Vectors& prediction = *port.prediction;
    loss::require_views(prediction.views, port.target->views, params.pairs);
    const Tensor minus =
        loss::negative_cosine(prediction.values_nD, port.target->values_nD, prediction.views, loss::pairs(params.pairs), params.stop);
    params.give(params.form == "minus" ? minus : minus.mul(2).add(2), context, *port.loss);
  }
};

FLOWRUN_NODE(NegativeCosine);

}  // namespace
}  // namespace flowrun
