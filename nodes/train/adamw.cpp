#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/stack.h>
#include <cmath>
#include <cstdio>

#include "graph/contract/period.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/optim/adamw_math.h"
#include "nodes/lib/tensor/optim/gradient_homes.h"
#include "nodes/lib/tensor/optim/schedule.h"
#include "nodes/lib/tensor/optim/shard.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/tensor_state.h"

namespace flowrun {
namespace {

struct TrainAdamW {
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
    Ref<model::Module> models;
    LearningRate lr;
    double warmup_epochs = -1, weight_decay = 0.05, weight_decay_final = -1, stretch = 1, eps = 1e-8, clip = 0, reference_batch = 2048;
    std::vector<double> betas = {0.9, 0.95}, lr_multipliers;
    bool decay_tokens = true;
    std::string lr_scaling = "none", schedule = "cosine", weight_decay_schedule = "cosine", norm_every;
    double layer_decay = 1;
    bool shard = false;
    void describe(auto& param) {
      param.writes("models", models, "The models to train.", /*many=*/true);
      param("lr", lr, "Learning rates; the defaults are ViT-S/16's of the Bootleg paper for a batch of 2048.");
      param("schedule", schedule, schedule_choices(), "How the learning rate goes from max to final after the warm-up.");
      param("warmup_epochs", warmup_epochs, Range{-1}, "Length of the warm-up; -1: 0.175 of run.epochs, the paper's 105 of 600.");
      param("weight_decay", weight_decay, not_negative, "Decoupled weight decay.");
      param("weight_decay_final", weight_decay_final, Range{-1}, "Reached at the last step; -1: constant.");
      param("weight_decay_schedule", weight_decay_schedule, schedule_choices(), "How the weight decay gets to its final value.");
      param("betas", betas, Range{0, 0.999999}, "Decay of the two moments.");
      param("eps", eps, Range{1e-16, 1}, "Added to the root of the second moment.");
      param("clip", clip, not_negative, "Largest norm of all gradients together; 0: no clipping.");
      param("stretch", stretch, Range{0.1, 10}, "Length of the schedules over the length of the run.");
      param("lr_scaling", lr_scaling, scalings(), "How learning rates follow the batch size.");
      param("reference_batch", reference_batch, Range{1}, "The batch for which lr is given, when it is scaled.");
      param("lr_multipliers", lr_multipliers, not_negative, "One factor per model; empty: 1 for all.");
      param("layer_decay", layer_decay, Range{0.01, 1}, "Factor of the learning rate from each block of an encoder to the one before it; 1: none.");
      param("norm_every", norm_every, "How often the norm of all gradients is reported as grad_norm: \"20 steps\"; empty: never.");
      param.incidental()(
          "shard", shard,
          "With several ranks: each keeps the moments of its part of the parameters alone and updates those (ZeRO-1). Results, and what "
          "checkpoints hold, are the same.");
      param("decay_tokens", decay_tokens, "Whether class, register and mask tokens decay, as in MAE and I-JEPA.");
    }
    static const Choices& schedule_choices() {
      static const Choices choices = {"cosine", "linear", "constant"};
      return choices;
    }
    static const Choices& scalings() {
      static const Choices choices = {"none", "linear", "sqrt"};
      return choices;
    }
    std::optional<ParamFault> check() const {
      if (!norm_every.empty() && !Period::parse(norm_every)) return ParamFault{"norm_every", Period::fault("norm_every", norm_every)};
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
    lr_ = {params.lr.start * scale, params.lr.max * scale, params.lr.final * scale, shape(params.schedule)};
    if (params.lr_scaling != "none") {
      log_info(context.name + ": lr_scaling " + params.lr_scaling + " from a batch of " + text(params.reference_batch) + " to " +
               std::to_string(run.batch) + ": lr.max " + text(params.lr.max) + " x " + text(scale) + " = " + text(lr_.max));
    }
    const double final_decay = params.weight_decay_final < 0 ? params.weight_decay : params.weight_decay_final;
    weight_decay_ = {params.weight_decay, final_decay, shape(params.weight_decay_schedule)};
    if (params.lr.max == LearningRate{}.max && params.lr_scaling == "none" && run.batch != 2048) {
      log_warning(context.name + ": lr is the paper's, for a batch of 2048, but the batch is " + std::to_string(run.batch) +
                  "; set lr, or lr_scaling to linear or sqrt");
    }
    optimizer_ = train::AdamW({params.betas[0], params.betas[1], params.eps, params.decay_tokens});
    for (size_t m = 0; m < params.models.size(); ++m) {
      model::require_not_frozen(params.models[m], params.models.names[m]);
      params.models[m].parameters().set_trainable();
    }
    auto [names, values] = trained();
    if (params.shard && run.ranks != nullptr) {
      shards_.emplace(run, names, values);
      ranks::on_snapshot(run, [this, &run] { shards_->gather(run, optimizer_.state()); });
    }
    size_t first = 0;  // of a model's trained parameters
    for (size_t m = 0; m < params.models.size(); ++m) {
      std::vector<bool> kept;
      for (const model::Parameter& parameter : params.models[m].parameters()) {
        kept.push_back(!shards_ || (parameter.value.requires_grad() && shards_->mine(first)));
        first += parameter.value.requires_grad() ? 1 : 0;
      }
      const bool encoder = dynamic_cast<model::Encoder*>(&params.models[m]) != nullptr;
      std::vector<double> factors;
      if (encoder && params.layer_decay < 1) factors = train::layer_decay_factors(params.models[m].parameters(), params.layer_decay);
      optimizer_.add(params.models.names[m], params.models[m].parameters(), params.lr_multipliers.empty() ? 1.0 : params.lr_multipliers[m], factors,
                     std::move(kept));
    }
    if (run.records) homes_.emplace(values);
    exchange_ = ranks::gradient_exchange(run, std::move(values), std::move(names));
  }

  void fold(Ports& port, const FoldContext& context) {
    const Tensor& loss = port.loss->value;
    // On the GPU a look at the value would wait for it; report.metrics looks when it reports.
    if (!homes_ && loss.is_cpu() && !std::isfinite(loss.item<double>())) {
      throw NodeError("the loss is " + std::to_string(loss.item<double>()) + "; a lower lr.max or a longer warm-up is the usual cure");
    }
    if (homes_) homes_->begin();
    exchange_->backward(context.count == 1 ? loss : loss.div(static_cast<double>(context.count)), context.index + 1 == context.count);
    if (homes_) homes_->settle();
  }

  void run(Ports&, StepContext& context) {
    const int64_t schedule_step = context.run.schedule_step(context.step);
    const double lr = lr_.at(schedule_step, length_);
    const bool report_norm = !params.norm_every.empty() && Period::parse(params.norm_every)->due(context.step, context.run);
    if (params.clip > 0 || report_norm) {
      const Tensor norm = gradient_norm();
      if (report_norm) context.report("grad_norm", norm.item<double>());
      if (params.clip > 0) clip_gradients(norm);
    }
    optimizer_.step(lr, weight_decay_.at(schedule_step, length_));
    optimizer_.zero_grad();
    if (homes_) homes_->clear();
    if (shards_) shards_->forget(), shards_->share(context.run);
    context.report("lr", lr);
  }

  State save() const { return to_state(shards_ ? shards_->gathered() : optimizer_.state()); }
  void restore(const State& state) {
    for (const auto& [name, array] : state) optimizer_.restore(name, to_tensor(array));
  }

 private:
  static train::Shape shape(const std::string& name) {
    return name == "cosine" ? train::Shape::cosine : name == "linear" ? train::Shape::linear : train::Shape::constant;
  }
  static std::string text(double value) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%.4g", value);
    return buffer;
  }

  /// Names and values of the parameters that want a gradient, in the order of the forward pass.
  std::pair<std::vector<std::string>, std::vector<Tensor>> trained() const {
    std::vector<std::string> names;
    std::vector<Tensor> values;
    for (size_t m = 0; m < params.models.size(); ++m) {
      for (const model::Parameter& parameter : params.models[m].parameters()) {
        if (!parameter.value.requires_grad()) continue;
        values.push_back(parameter.value);
        names.push_back(params.models.names[m] + "." + parameter.name);
      }
    }
    return {names, values};
  }

  std::vector<Tensor> gradients() const {
    std::vector<Tensor> out;
    for (size_t m = 0; m < params.models.size(); ++m) {
      for (const model::Parameter& parameter : params.models[m].parameters()) {
        if (parameter.value.grad().defined()) out.push_back(parameter.value.grad());
      }
    }
    return out;
  }
  Tensor gradient_norm() const {
    const at::NoGradGuard no_grad;
    return at::stack(at::_foreach_norm(gradients(), 2)).norm();
  }
  void clip_gradients(const Tensor& norm) const {
    const at::NoGradGuard no_grad;
    at::_foreach_mul_(gradients(), norm.add(1e-6).reciprocal().mul(params.clip).clamp_max(1.0));
  }

  train::Length length_;
  train::Warmup lr_;
  train::Ramp weight_decay_;
  train::AdamW optimizer_;
  std::optional<train::Shards> shards_;
  std::optional<train::GradientHomes> homes_;  // where work is recorded
  std::unique_ptr<ranks::GradientExchange> exchange_;
};

FLOWRUN_NODE(TrainAdamW);

}  // namespace
}  // namespace flowrun
