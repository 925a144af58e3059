#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/optim/lars_rule.h"
#include "nodes/lib/tensor/optim/learner.h"

namespace flowrun {
namespace {

struct TrainLars : train::LearnerNode {
  static constexpr NodeInfo info{
      .type = "train.lars",
      .brief = "Back-propagates the loss of each group and updates models with LARS once a step.",
      .scope = Scope::step,
      .details =
          "SGD with momentum whose step is scaled for each tensor of more than one axis. decoupled (MoCo v3, Barlow Twins, VICReg, BYOL): g' = r (g "
          "+ wd w) with r = eta |w| / |g + wd w|; m = mu m + g' (at first m = g'); w -= lr m. classic (SimCLR): m = mu m + lr g'; w -= m. clip "
          "(LARC): r = min(eta |w| / (|g| + wd |w| + 1e-8) / lr, 1). In decoupled and classic, r is 1 where |w| or |g + wd w| is 0. In clip, r is 1 "
          "where |w| is 0, and else 0 where |g| is 0, so that such a tensor does not decay. Biases and gains are not decayed, nor scaled unless "
          "one_axis is true. Gradients of groups and ranks, schedules, layer_decay, clipping and shards are those of train.adamw. A loss that is not "
          "finite stops the run.",
      .repeats = true};
  struct Params : train::LearnerParams {
    std::string form = "decoupled";
    double eta = -1, momentum = 0.9;
    bool one_axis = false;
    Params() {
      lr = {0, 0.3, 0};
      warmup_share = 0.1;
      weight_decay = 1e-6;
      lr_scaling = "linear";
    }
    void describe(auto& param) {
      LearnerParams::describe(param,
                              {.lr = "Learning rates; the default is that of MoCo v3 and SimCLR for a batch of 256.",
                               .warmup_epochs = "Length of the warm-up; -1: a tenth of run.epochs.",
                               .weight_decay = "Added to the gradient, times the weight, before the step is scaled."},
                              [&] {
                                param("form", form, forms(), "Which published form of the update.");
                                param("eta", eta, Range{-1}, "Trust coefficient; -1: 0.001, and 0.02 where form is clip.");
                                param("momentum", momentum, Range{0, 0.999999}, "How much of the last update's direction stays.");
                                param("one_axis", one_axis, "Whether the steps of biases and gains are scaled as well (SwAV).");
                              });
    }
    static const Choices& forms() {
      static const Choices choices = {"decoupled", "classic", "clip"};
      return choices;
    }
  };
  Params params;

  void plan(NodePlan& plan) const { LearnerNode::plan(plan, params, 1); }

  void open(const OpenContext& context) {
    using enum train::LarsForm;
    const train::LarsForm form = params.form == "clip" ? clip : params.form == "classic" ? classic : decoupled;
    const double eta = params.eta >= 0 ? params.eta : form == clip ? 0.02 : 0.001;
    learner_.open(context, params, std::make_shared<train::LarsRule>(train::LarsOptions{form, eta, params.momentum, params.one_axis}));
  }
};

FLOWRUN_NODE(TrainLars);

}  // namespace
}  // namespace flowrun
