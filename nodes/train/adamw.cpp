#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/stack.h>
#include <cmath>

#include "nodes/device.h"
#include "nodes/model_resources.h"
#include "nodes/tensor_state.h"
#include "nodes/train/adamw_math.h"
#include "nodes/train/schedule.h"

namespace flowrun {
namespace {

struct TrainAdamW {
  static constexpr NodeInfo info{
      .type = "train.adamw",
      .brief = "Back-propagates the loss of each group and updates models with AdamW once a step.",
      .scope = Scope::step,
      .details =
          "Gradients add up over the groups of a step, each group's loss being its own mean. Decay is decoupled and applies to parameters of "
          "more than one axis whose name has no \"bias\" in it. The learning rate rises linearly over the warm-up and falls as half a cosine; "
          "it is a function of the step and run.epochs alone. Steps count from 1. A loss that is not finite stops the run."};
  struct Ports {
    In<Loss> loss{"loss", "What to minimise."};
    void describe(auto& port) { port(loss); }
  };
  struct LearningRate {
    double start = 1e-4, max = 3e-3, final = 1e-4;
    void describe(auto& param) {
      param("start", start, not_negative, "At the beginning of the warm-up.");
      param("max", max, not_negative, "At the end of the warm-up.");
      param("final", final, not_negative, "At the last step.");
    }
  };
  struct Params {
    Ref<ModelResource> models;
    LearningRate lr;
    double warmup_epochs = -1, weight_decay = 0.05, weight_decay_final = -1, stretch = 1, eps = 1e-8, clip = 0, reference_batch = 2048;
    std::vector<double> betas = {0.9, 0.95}, lr_multipliers;
    bool decay_tokens = true;
    std::string lr_scaling = "none";
    void describe(auto& param) {
      param.writes("models", models, "The models to train.", /*many=*/true);
      param("lr", lr, "Learning rates; the defaults are ViT-S/16's of the Bootleg paper for a batch of 2048.");
      param("warmup_epochs", warmup_epochs, Range{-1}, "Length of the warm-up; -1: 0.175 of run.epochs, the paper's 105 of 600.");
      param("weight_decay", weight_decay, not_negative, "Decoupled weight decay.");
      param("weight_decay_final", weight_decay_final, Range{-1}, "Reached along half a cosine at the last step; -1: constant.");
      param("betas", betas, Range{0, 0.999999}, "Decay of the two moments.");
      param("eps", eps, Range{1e-16, 1}, "Added to the root of the second moment.");
      param("clip", clip, not_negative, "Largest norm of all gradients together; 0: no clipping.");
      param("stretch", stretch, Range{0.1, 10}, "Length of the schedules over the length of the run.");
      param("lr_scaling", lr_scaling, scalings(), "How learning rates follow the batch size.");
      param("reference_batch", reference_batch, Range{1}, "The batch for which lr is given, when it is scaled.");
      param("lr_multipliers", lr_multipliers, not_negative, "One factor per model; empty: 1 for all.");
      param("decay_tokens", decay_tokens, "Whether class, register and mask tokens decay, as in MAE and I-JEPA.");
    }
    static const Choices& scalings() {
      static const Choices choices = {"none", "linear", "sqrt"};
      return choices;
    }
    std::optional<ParamFault> check() const {
      if (betas.size() != 2) return ParamFault{"betas", "betas must be two numbers"};
      if (!lr_multipliers.empty() && lr_multipliers.size() != models.names.size()) {
        return ParamFault{"lr_multipliers", "lr_multipliers must have one factor per model"};
      }
      return {};
    }
  };
  Params params;

  void open(const OpenContext& context) {
    const RunInfo& run = context.run;
    const double epochs = static_cast<double>(run.total_steps) / static_cast<double>(run.steps_per_epoch);
    const double warmup = params.warmup_epochs < 0 ? 0.175 * epochs : params.warmup_epochs;
    if (warmup > params.stretch * epochs) {
      throw NodeError("warmup_epochs = " + std::to_string(warmup) + " is longer than the run of " + std::to_string(epochs) + " epochs");
    }
    length_ = train::Length::of(epochs, warmup, run.steps_per_epoch, params.stretch);
    const double ratio = static_cast<double>(run.batch) / params.reference_batch;
    const double scale = params.lr_scaling == "linear" ? ratio : params.lr_scaling == "sqrt" ? std::sqrt(ratio) : 1.0;
    lr_ = {params.lr.start * scale, params.lr.max * scale, params.lr.final * scale};
    const double final_decay = params.weight_decay_final < 0 ? params.weight_decay : params.weight_decay_final;
    weight_decay_ = {params.weight_decay, final_decay};
    if (params.lr.max == LearningRate{}.max && params.lr_scaling == "none" && run.batch != 2048) {
      log_warning(context.name + ": lr is the paper's, for a batch of 2048, but the batch is " + std::to_string(run.batch) +
                  "; set lr, or lr_scaling to linear or sqrt");
    }
    optimizer_ = train::AdamW({params.betas[0], params.betas[1], params.eps, params.decay_tokens});
    for (size_t m = 0; m < params.models.size(); ++m) {
      params.models[m].parameters().set_requires_grad(true);
      optimizer_.add(params.models.names[m], params.models[m].parameters(), params.lr_multipliers.empty() ? 1.0 : params.lr_multipliers[m]);
    }
  }

  void fold(Ports& port, const FoldContext& context) {
    const Tensor& loss = port.loss->value;
    // On the GPU a look at the value would wait for it; report.metrics looks when it reports.
    if (loss.is_cpu() && !std::isfinite(loss.item<double>())) {
      throw NodeError("the loss is " + std::to_string(loss.item<double>()) + "; a lower lr.max or a longer warm-up is the usual cure");
    }
    (context.count == 1 ? loss : loss.div(static_cast<double>(context.count))).backward();
  }

  void run(Ports&, StepContext& context) {
    const double lr = lr_.at(context.step, length_);
    if (params.clip > 0) clip_gradients();
    optimizer_.step(lr, weight_decay_.at(context.step, length_));
    optimizer_.zero_grad();
    context.report("lr", lr);
  }

  State save() const { return to_state(optimizer_.state()); }
  void restore(const State& state) {
    for (const auto& [name, array] : state) optimizer_.restore(name, to_tensor(array));
  }

 private:
  void clip_gradients() {
    const at::NoGradGuard no_grad;
    std::vector<Tensor> gradients;
    for (size_t m = 0; m < params.models.size(); ++m) {
      for (const model::Parameter& parameter : params.models[m].parameters()) {
        if (parameter.value.grad().defined()) gradients.push_back(parameter.value.grad());
      }
    }
    const Tensor norm = at::stack(at::_foreach_norm(gradients, 2)).norm();
    at::_foreach_mul_(gradients, norm.add(1e-6).reciprocal().mul(params.clip).clamp_max(1.0));
  }

  train::Length length_;
  train::WarmupCosine lr_;
  train::Cosine weight_decay_;
  train::AdamW optimizer_;
};

FLOWRUN_NODE(TrainAdamW);

}  // namespace
}  // namespace flowrun
