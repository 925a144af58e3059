#include "nodes/lib/tensor/optim/learner.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/stack.h>
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "graph/contract/period.h"
#include "nodes/lib/tensor/model/norm_passes.h"
#include "nodes/lib/tensor/model/writable.h"
#include "nodes/lib/tensor/types/tensor_state.h"

namespace flowrun::train {
namespace {

const Choices& schedules() {
  static const Choices choices = {"cosine", "linear", "constant"};
  return choices;
}

const Choices& lr_schedules() {
  static const Choices choices = {"cosine", "linear", "constant", "milestones"};
  return choices;
}

const Choices& pers() {
  static const Choices choices = {"step", "epoch"};
  return choices;
}

const Choices& scalings() {
  static const Choices choices = {"none", "linear", "sqrt"};
  return choices;
}

const Choices& clips() {
  static const Choices choices = {"all", "model", "parameter"};
  return choices;
}

Shape shape(const std::string& name) { return name == "cosine" ? Shape::cosine : name == "linear" ? Shape::linear : Shape::constant; }

/// For each parameter of a model of the list, whether one of the parts is in its name, MODEL.PARAMETER.
std::vector<bool> matching(const Ref<model::Module>& models, size_t model, const std::vector<std::string>& parts) {
  std::vector<bool> out;
  for (const model::Parameter& parameter : models[model].parameters()) {
    const std::string name = models.names[model] + "." + parameter.name;
    out.push_back(std::any_of(parts.begin(), parts.end(), [&](const std::string& part) { return name.find(part) != std::string::npos; }));
  }
  return out;
}

bool found_in(const Ref<model::Module>& models, const std::string& part) {
  for (size_t m = 0; m < models.size(); ++m) {
    const std::vector<bool> hits = matching(models, m, {part});
    if (std::find(hits.begin(), hits.end(), true) != hits.end()) return true;
  }
  return false;
}

std::string text(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.4g", value);
  return buffer;
}

}  // namespace

void LearnerParams::describe(ParamVisitor& param, const LearnerWords& words, const std::function<void()>& own) {
  param.writes("models", models, "The models to train.", /*many=*/true);
  param("lr", lr, words.lr);
  param("schedule", schedule, lr_schedules(),
        "How the learning rate goes from max to final after the warm-up. milestones: in steps of milestone_factor.");
  param("milestones", milestones, not_negative, "The epochs behind which the learning rate is multiplied by milestone_factor.");
  param("milestone_factor", milestone_factor, not_negative, "See milestones.");
  param("per", per, pers(), "epoch: the learning rate changes between epochs only, as MoCo's and SimSiam's.");
  param("warmup_epochs", warmup_epochs, Range{-1}, words.warmup_epochs);
  param("weight_decay", weight_decay, not_negative, words.weight_decay);
  param("weight_decay_final", weight_decay_final, Range{-1}, "Reached at the last step; -1: constant.");
  param("weight_decay_schedule", weight_decay_schedule, schedules(), "How the weight decay gets to its final value.");
  own();
  param("clip", clip, not_negative, "Largest norm of the gradients; 0: no clipping.");
  param("clip_over", clip_over, clips(), "Whose norm clip bounds: that of all gradients together, of each model's, or of each parameter's (DINO).");
  param("rates", rates, "Parameters with a learning rate of their own.");
  param("no_decay", no_decay, "Parts of names, MODEL.PARAMETER, of parameters that do not decay.");
  param("freeze", freeze, "Parameters that rest in the first epochs: no step, no decay, no moments.");
  param("stretch", stretch, Range{0.1, 10}, "Length of the schedules over the length of the run.");
  param("lr_scaling", lr_scaling, scalings(), "How learning rates follow the batch size.");
  param("reference_batch", reference_batch, Range{1}, "The batch for which lr is given, when it is scaled.");
  param("lr_multipliers", lr_multipliers, not_negative, "One factor per model; empty: 1 for all.");
  param("layer_decay", layer_decay, Range{0.01, 1}, "Factor of the learning rate from each block of an encoder to the one before it; 1: none.");
  param("norm_every", norm_every, "How often the norm of all gradients is reported as grad_norm: \"20 steps\"; empty: never.");
  param.incidental()("shard", shard,
                     "With several ranks: each keeps the moments of its part of the parameters alone and updates those (ZeRO-1). Results, and "
                     "what checkpoints hold, are the same.");
  param("decay_tokens", decay_tokens, "Whether class, register and mask tokens decay, as in MAE and I-JEPA.");
}

std::optional<ParamFault> LearnerParams::check() const {
  if (!norm_every.empty() && !Period::parse(norm_every)) return ParamFault{"norm_every", Period::fault("norm_every", norm_every)};
  if (rates.match.size() != rates.times.size()) {
    return ParamFault{"rates", "rates.match has " + std::to_string(rates.match.size()) + " parts of names, but rates.times " +
                                   std::to_string(rates.times.size()) + " factors"};
  }
  if (milestones.empty() == (schedule == "milestones")) {
    return ParamFault{"milestones", schedule == "milestones" ? "schedule is milestones, but milestones names no epoch"
                                                             : "milestones has no effect; set schedule to milestones"};
  }
  if (!std::is_sorted(milestones.begin(), milestones.end())) return ParamFault{"milestones", "milestones must increase"};
  if (!lr_multipliers.empty() && lr_multipliers.size() != models.names.size()) {
    return ParamFault{"lr_multipliers", "lr_multipliers must have one factor per model"};
  }
  return {};
}

void Learner::open(const OpenContext& context, const LearnerParams& params, std::shared_ptr<const Rule> rule, bool everything_decays) {
  params_ = &params;
  open_schedules(context);
  for (size_t m = 0; m < params.models.size(); ++m) {
    model::require_not_frozen(params.models[m], params.models.names[m]);
    params.models[m].parameters().set_trainable();
    model::collect_statistics(params.models[m]);
  }
  open_optimizer(context, std::move(rule), everything_decays);
  open_freeze(context.run);
  auto [names, values] = trained();
  own_.emplace(&context.run, context.name, names, values);
  if (context.run.records) homes_.emplace(values);
  exchange_ = ranks::gradient_exchange(context.run, std::move(values), std::move(names));
}

void Learner::open_schedules(const OpenContext& context) {
  const RunInfo& run = context.run;
  steps_per_epoch_ = std::max<int64_t>(1, run.steps_per_epoch);
  const double epochs = static_cast<double>(run.total_steps) / static_cast<double>(run.steps_per_epoch);
  const double warmup = params_->warmup_epochs < 0 ? params_->warmup_share * epochs : params_->warmup_epochs;
  if (warmup > params_->stretch * epochs) {
    throw NodeError("warmup_epochs = " + std::to_string(warmup) + " is longer than the run of " + std::to_string(epochs) + " epochs");
  }
  length_ = Length::of(epochs, warmup, run.steps_per_epoch, params_->stretch);
  const double ratio = static_cast<double>(run.batch) / params_->reference_batch;
  const double scale = params_->lr_scaling == "linear" ? ratio : params_->lr_scaling == "sqrt" ? std::sqrt(ratio) : 1.0;
  const LearningRate& lr = params_->lr;
  lr_ = {lr.start * scale, lr.max * scale, lr.final * scale, shape(params_->schedule)};
  if (params_->lr_scaling != "none") {
    log_info(context.name + ": lr_scaling " + params_->lr_scaling + " from a batch of " + text(params_->reference_batch) + " to " +
             std::to_string(run.batch) + ": lr.max " + text(lr.max) + " x " + text(scale) + " = " + text(lr_.max));
  }
  const double final_decay = params_->weight_decay_final < 0 ? params_->weight_decay : params_->weight_decay_final;
  weight_decay_ = {params_->weight_decay, final_decay, shape(params_->weight_decay_schedule)};
}

void Learner::open_optimizer(const OpenContext& context, std::shared_ptr<const Rule> rule, bool everything_decays) {
  const RunInfo& run = context.run;
  optimizer_.emplace(std::move(rule), Decayed{.tokens = params_->decay_tokens, .everything = everything_decays});
  if (params_->shard && run.ranks != nullptr) {
    auto [names, values] = trained();
    shards_.emplace(run, std::move(names), std::move(values), optimizer_->rule().slots());
    ranks::on_snapshot(run, [this, &run] { shards_->gather(run, optimizer_->state()); });
  }
  size_t next = 0;  // of all models' trained parameters
  for (size_t m = 0; m < params_->models.size(); ++m) {
    model::Parameters& parameters = params_->models[m].parameters();
    PerParameter each = per_parameter(m);
    for (const model::Parameter& parameter : parameters) {
      const bool trains = parameter.value.requires_grad();
      each.kept.push_back(!shards_ || (trains && shards_->mine(next)));
      next += trains ? 1 : 0;
    }
    const double multiplier = params_->lr_multipliers.empty() ? 1.0 : params_->lr_multipliers[m];
    optimizer_->add(params_->models.names[m], parameters, multiplier, std::move(each));
  }
}

PerParameter Learner::per_parameter(size_t model) const {
  const Rates& rates = params_->rates;
  PerParameter out;
  out.factors = rate_factors(model);
  if (!rates.match.empty() && out.factors.empty()) out.factors.assign(params_->models[model].parameters().size(), 1.0);
  for (size_t i = 0; i < rates.match.size(); ++i) {
    const std::vector<bool> hits = matching(params_->models, model, {rates.match[i]});
    for (size_t p = 0; p < hits.size(); ++p) out.factors[p] *= hits[p] ? rates.times[i] : 1.0;
  }
  out.steady = matching(params_->models, model, rates.steady);
  out.undecayed = matching(params_->models, model, params_->no_decay);
  return out;
}

/// Empty: 1 for all.
std::vector<double> Learner::rate_factors(size_t model) const {
  const bool encoder = dynamic_cast<model::Encoder*>(&params_->models[model]) != nullptr;
  if (!encoder || params_->layer_decay == 1) return {};
  return layer_decay_factors(params_->models[model].parameters(), params_->layer_decay);
}

void Learner::open_freeze(const RunInfo& run) {
  const Freeze& freeze = params_->freeze;
  frozen_steps_ = static_cast<int64_t>(freeze.epochs * static_cast<double>(run.steps_per_epoch));
  for (size_t m = 0; m < params_->models.size(); ++m) optimizer_->let_rest(params_->models.names[m], matching(params_->models, m, freeze.match));
}

void Learner::backward(const Tensor& loss, const FoldContext& context) {
  // On the GPU a look at the value would wait for it; report.metrics looks when it reports.
  if (!homes_ && loss.is_cpu() && !std::isfinite(loss.item<double>())) {
    throw NodeError("the loss is " + std::to_string(loss.item<double>()) + "; a lower lr.max or a longer warm-up is the usual cure");
  }
  if (homes_) homes_->begin();
  if (!looked_) own_->before_pass();
  exchange_->backward(context.count == 1 ? loss : loss.div(static_cast<double>(context.count)), context.index + 1 == context.count);
  if (!looked_) own_->after_pass();
  looked_ = true;
  if (homes_) homes_->settle();
}

void Learner::step(StepContext& context) {
  const int64_t schedule_step = context.run.schedule_step(context.step);
  const double lr = rate(schedule_step);
  clip(context);
  optimizer_->step(lr, weight_decay_.at(schedule_step, length_), /*resting=*/schedule_step <= frozen_steps_, /*steady_lr=*/lr_.max);
  optimizer_->zero_grad();
  if (homes_) homes_->clear();
  if (shards_) shards_->forget(), shards_->share(context.run);
  for (size_t m = 0; m < params_->models.size(); ++m) {
    params_->models[m].constrain();
    model::settle_statistics(params_->models[m], context.run);
  }
  context.report("lr", lr);
}

double Learner::rate(int64_t schedule_step) const {
  const int64_t epoch = (schedule_step - 1) / steps_per_epoch_;
  double lr = lr_.at(params_->per == "epoch" ? epoch * steps_per_epoch_ : schedule_step, length_);
  for (const double milestone : params_->milestones) lr *= static_cast<double>(epoch) >= milestone ? params_->milestone_factor : 1.0;
  return lr;
}

/// Also reports the norm, at its steps.
void Learner::clip(StepContext& context) const {
  const bool report = !params_->norm_every.empty() && Period::parse(params_->norm_every)->due(context.step, context.run);
  if (params_->clip == 0 && !report) return;
  const at::NoGradGuard no_grad;
  std::vector<Tensor> norms;
  for (const std::vector<Tensor>& together : gradients()) {
    if (together.empty()) continue;
    const Tensor norm = at::stack(at::_foreach_norm(together, 2)).norm();
    if (params_->clip > 0) at::_foreach_mul_(together, norm.add(1e-6).reciprocal().mul(params_->clip).clamp_max(1.0));
    norms.push_back(norm);
  }
  if (report) context.report("grad_norm", (norms.size() == 1 ? norms[0] : at::stack(norms).norm()).item<double>());
}

void LearnerNode::plan(NodePlan& plan, const LearnerParams& params, double states) {
  plan.states = states;
  for (size_t m = 0; m < params.models.size(); ++m) model::check_writable(plan, params.models[m], "models", params.models.names[m]);
  const auto check = [&](const char* at, const char* name, const std::vector<std::string>& parts) {
    for (const std::string& part : parts) {
      if (found_in(params.models, part)) continue;
      plan.fault(at, std::string(name) + " \"" + part + "\" is in the name of no parameter of " + join(params.models.names),
                 "names are MODEL.PARAMETER; a checkpoint's files hold those of each model");
    }
  };
  check("freeze", "freeze.match", params.freeze.match), check("no_decay", "no_decay", params.no_decay);
  check("rates", "rates.match", params.rates.match), check("rates", "rates.steady", params.rates.steady);
}

State Learner::save() const { return to_state(shards_ ? shards_->gathered() : optimizer_->state()); }

void Learner::restore(const State& state) {
  for (const auto& [name, array] : state) optimizer_->restore(name, to_tensor(array));
}

/// Names and values of the parameters that want a gradient, in the order of the forward pass.
std::pair<std::vector<std::string>, std::vector<Tensor>> Learner::trained() const {
  std::vector<std::string> names;
  std::vector<Tensor> values;
  for (size_t m = 0; m < params_->models.size(); ++m) {
    for (const model::Parameter& parameter : params_->models[m].parameters()) {
      if (!parameter.value.requires_grad()) continue;
      values.push_back(parameter.value);
      names.push_back(params_->models.names[m] + "." + parameter.name);
    }
  }
  return {names, values};
}

/// The gradients that clip bounds together, list by list.
std::vector<std::vector<Tensor>> Learner::gradients() const {
  std::vector<std::vector<Tensor>> out(1);
  for (size_t m = 0; m < params_->models.size(); ++m) {
    for (const model::Parameter& parameter : params_->models[m].parameters()) {
      if (!parameter.value.grad().defined()) continue;
      if (params_->clip_over == "parameter" && !out.back().empty()) out.emplace_back();
      out.back().push_back(parameter.value.grad());
    }
    if (params_->clip_over == "model") out.emplace_back();
  }
  return out;
}

}  // namespace flowrun::train
