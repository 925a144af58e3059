#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/optim/adamw_math.h"
#include "nodes/lib/tensor/optim/learner.h"

namespace flowrun {
namespace {

constexpr double paper_lr = 3e-3, paper_batch = 2048;  // ViT-S/16 of the Bootleg paper

struct TrainAdamW : train::LearnerNode {
  static constexpr NodeInfo info{
      .type = "train.adamw",
      .brief = "Back-propagates the loss of each group and updates models with AdamW once a step.",
      .scope = Scope::step,
      .details =
          "Gradients add up over the groups of a step, each group's loss being its own mean; with several ranks they become the mean over all. Decay "
          "is decoupled and applies to parameters of "
          "more than one axis whose name has no \"bias\" in it. The learning rate rises linearly over the warm-up and falls as half a cosine "
          "(or a line, or not); it is a function of the step and run.epochs alone, written to the metrics and, after scaling, to the log. "
          "layer_decay acts on encoders: block k of L has the rate times layer_decay^(L + 1 - k). Steps count from 1. A loss that is not finite "
          "stops the run.",
      .repeats = true};
  struct Params : train::LearnerParams {
    std::vector<double> betas = {0.9, 0.95};
    double eps = 1e-8;
    Params() {
      lr = {1e-4, paper_lr, 1e-4};
      warmup_share = 0.175;
      weight_decay = 0.05;
      reference_batch = paper_batch;
    }
    void describe(auto& param) {
      LearnerParams::describe(param,
                              {.lr = "Learning rates; the defaults are ViT-S/16's of the Bootleg paper for a batch of 2048.",
                               .warmup_epochs = "Length of the warm-up; -1: 0.175 of run.epochs, the paper's 105 of 600.",
                               .weight_decay = "Decoupled weight decay."},
                              [&] {
                                param("betas", betas, Range{0, 0.999999}, "Decay of the two moments.");
                                param("eps", eps, Range{1e-16, 1}, "Added to the root of the second moment.");
                              });
    }
    std::optional<ParamFault> check() const {
      if (auto fault = LearnerParams::check()) return fault;
      if (betas.size() != 2) return ParamFault{"betas", "betas must be two numbers"};
      return {};
    }
  };
  Params params;

  void plan(NodePlan& plan) const { LearnerNode::plan(plan, params, 2); }

  void open(const OpenContext& context) {
    const train::AdamWOptions options{.beta1 = params.betas[0], .beta2 = params.betas[1], .eps = params.eps};
    learner_.open(context, params, std::make_shared<train::AdamWRule>(options));
    const auto batch = static_cast<double>(context.run.batch);
    if (params.lr.max == paper_lr && params.lr_scaling == "none" && batch != paper_batch) {
      log_warning(context.name + ": lr is the paper's, for a batch of 2048, but the batch is " + std::to_string(context.run.batch) +
                  "; set lr, or lr_scaling to linear or sqrt");
    }
  }
};

FLOWRUN_NODE(TrainAdamW);

}  // namespace
}  // namespace flowrun
