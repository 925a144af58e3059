#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/optim/learner.h"
#include "nodes/lib/tensor/optim/sgd_rule.h"

namespace flowrun {
namespace {

struct TrainSgd : train::LearnerNode {
  static constexpr NodeInfo info{
      .type = "train.sgd",
      .brief = "Back-propagates the loss of each group and updates models with SGD and momentum once a step.",
      .scope = Scope::step,
      .details =
          "PyTorch's SGD without dampening: with decay wd, momentum mu and rate lr, g' = g + wd w; m = mu m + g' (at first m = g'); w -= lr m, or "
          "with nesterov lr (g' + mu m). All parameters decay unless decay_all is false. Gradients of groups and ranks, schedules, layer_decay, "
          "clipping and shards are those of train.adamw. A loss that is not finite stops the run.",
      .repeats = true};
  struct Params : train::LearnerParams {
    double momentum = 0.9;
    bool nesterov = false, decay_all = true;
    Params() {
      lr = {0, 0.03, 0};
      warmup_epochs = 0;
      weight_decay = 1e-4;
      lr_scaling = "linear";
    }
    void describe(auto& param) {
      LearnerParams::describe(param,
                              {.lr = "Learning rates; the default is MoCo's for a batch of 256.",
                               .warmup_epochs = "Length of the warm-up; -1: none.",
                               .weight_decay = "Added to the gradient, times the weight."},
                              [&] {
                                param("momentum", momentum, Range{0, 0.999999}, "How much of the last update's direction stays; 0: no momentum.");
                                param("nesterov", nesterov, "Whether the step looks ahead along the momentum (Nesterov).");
                                param("decay_all", decay_all,
                                      "Whether biases and parameters of one axis decay too, as in PyTorch; false: as with train.adamw.");
                              });
    }
    std::optional<ParamFault> check() const {
      if (auto fault = LearnerParams::check()) return fault;
      if (nesterov && momentum == 0) return ParamFault{"nesterov", "nesterov needs a momentum above 0"};
      return {};
    }
  };
  Params params;

  void plan(NodePlan& plan) const { LearnerNode::plan(plan, params, 1); }

  void open(const OpenContext& context) {
    const train::SgdOptions options{.momentum = params.momentum, .nesterov = params.nesterov};
    learner_.open(context, params, std::make_shared<train::SgdRule>(options), params.decay_all);
  }
};

FLOWRUN_NODE(TrainSgd);

}  // namespace
}  // namespace flowrun
