#include "nodes/lib/tensor/model/probe.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <cmath>
#include <limits>

#include "graph/node.h"
#include "nodes/lib/tensor/optim/head_optimizers.h"
#include "nodes/lib/tensor/optim/schedule.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/tensor_state.h"

namespace flowrun {
namespace {

struct TrainProbe {
  static constexpr NodeInfo info{
      .type = "train.probe",
      .brief = "Trains all heads of a probe on what a frozen encoder sees, each with its own learning rate and decay.",
      .scope = Scope::step,
      .details =
          "Cross-entropy of each head, back-propagated through the head alone, and one AdamW step per head and step. Gradients add up over "
          "the groups of a step; a linear probe's batch norm takes the statistics of each group. cosine: the rate rises linearly from start "
          "over the warm-up, then falls as half a cosine to final. poly: rate x (1 - (step - 1) / steps)^0.9. Decay is decoupled and leaves "
          "biases and gains alone. Reports the lowest loss of a head as loss; a head whose loss is no longer finite only loses the "
          "comparison, but when none is left the run stops."};
  struct Ports {
    In<Features> features{"features", "What a linear probe takes, with labels.", optional};
    In<EvalTokens> tokens{"tokens", "What the other kinds take, with labels or label maps.", optional};
    void describe(auto& port) { port(features, tokens); }
  };
  struct Params {
    Ref<model::Probe> model;
    std::string schedule = "cosine";
    double start = 0, final = 0, warmup_epochs = -1, eps = 1e-8;
    std::vector<double> betas = {0.9, 0.999};
    void describe(auto& param) {
      param.writes("model", model, "The probe; its heads hold learning rates and decays.");
      param("schedule", schedule, schedules(), "How the rates go over the run.");
      param("start", start, not_negative, "Rate at the beginning of the warm-up, the same for all heads; V-JEPA's attentive probe has 2e-4.");
      param("final", final, not_negative, "Rate at the last step of cosine.");
      param("warmup_epochs", warmup_epochs, Range{-1}, "Length of the warm-up of cosine; -1: 5 % of the run.");
      param("betas", betas, Range{0, 0.999999}, "Decay of the two moments.");
      param("eps", eps, Range{1e-16, 1}, "Added to the root of the second moment.");
    }
    static const Choices& schedules() {
      static const Choices choices = {"cosine", "poly"};
      return choices;
    }
    std::optional<ParamFault> check() const {
      if (betas.size() != 2) return ParamFault{"betas", "betas must be two numbers"};
      return {};
    }
  };
  Params params;

  void open(const OpenContext& context) {
    const RunInfo& run = context.run;
    const double epochs = static_cast<double>(run.total_steps) / static_cast<double>(run.steps_per_epoch);
    const double warmup = params.warmup_epochs < 0 ? 0.05 * epochs : params.warmup_epochs;
    if (warmup > epochs) {
      throw NodeError("warmup_epochs = " + std::to_string(warmup) + " is longer than the run of " + std::to_string(epochs) + " epochs");
    }
    length_ = train::Length::of(epochs, warmup, run.steps_per_epoch);
    model::require_not_frozen(*params.model, params.model.names[0]);
    model::Probe& probe = *params.model;
    probe.parameters().set_requires_grad(true);
    const train::AdamWOptions options{params.betas[0], params.betas[1], params.eps};
    for (int64_t head = 0; head < probe.heads(); ++head) optimizers_.add(probe.parameters(), probe.indices(head), options);
  }

  void fold(Ports& port, const FoldContext& context) {
    const model::Probe& probe = *params.model;
    const auto [x, labels] = input(port, probe);
    const double share = 1.0 / static_cast<double>(context.count);
    std::vector<Tensor> losses;
    for (int64_t head = 0; head < probe.heads(); ++head) {
      const Tensor loss = probe.loss(head, x, labels).mul(share);
      loss.backward();  // frees this head's graph before the next one's is made
      losses.push_back(loss.detach());
    }
    const Tensor loss_H = at::stack(losses);
    loss_H_ = loss_H_.defined() ? loss_H_.add(loss_H) : loss_H;
  }

  void run(Ports&, StepContext& context) {
    share_gradients(context.run);
    move_statistics(context.run);
    report(context);
    const model::Probe& probe = *params.model;
    std::vector<double> lrs, decays;
    for (int64_t head = 0; head < probe.heads(); ++head) {
      lrs.push_back(rate(probe.lr(head), context.run.schedule_step(context.step)));
      decays.push_back(probe.decay(head));
    }
    optimizers_.step(lrs, decays);
  }

  State save() const { return to_state(optimizers_.state()); }
  void restore(const State& state) {
    for (const auto& [name, array] : state) optimizers_.restore(name, to_tensor(array));
  }

 private:
  /// What the heads take, and the truth.
  std::pair<Tensor, Tensor> input(const Ports& port, const model::Probe& probe) {
    const bool linear = probe.config().kind == model::ProbeKind::linear;
    if (linear && !port.features) throw NodeError("a linear probe needs features: connect an eval.features");
    if (!linear && !port.tokens) throw NodeError("this kind of probe needs tokens: connect an eval.tokens");
    const Tensor labels = linear ? port.features->labels_B : probe.segments() ? port.tokens->maps_BHW : port.tokens->labels_B;
    if (!labels.defined()) {
      throw NodeError(probe.segments() ? "there are no label maps: connect them to batch.stack, device.upload and eval.tokens"
                                       : "there are no labels: connect label from the source to batch.stack and device.upload");
    }
    const ClassRange& range = linear ? port.features->range : probe.segments() ? port.tokens->map_range : port.tokens->label_range;
    check_labels(probe.segments() ? range.of(labels, model::kIgnored) : range.of(labels), probe.config().classes);
    if (linear) {
      const auto [x_BD, statistics_2D] = probe.normalise_by_itself(port.features->values_BD);
      statistics_.push_back(statistics_2D);
      return {x_BD, labels};
    }
    return {probe.segments() ? port.tokens->patches_BND() : port.tokens->tokens_BSD, labels};
  }

  static void check_labels(ClassRange range, int64_t classes) {
    if (range.least >= 0 && range.most < classes) return;
    throw NodeError("a label is " + std::to_string(range.least < 0 ? range.least : range.most) + ", but the probe has classes 0 to " +
                    std::to_string(classes - 1));
  }

  void share_gradients(const RunInfo& run) {
    if (run.ranks == nullptr) return;
    std::vector<Tensor> all = {loss_H_};
    for (const model::Parameter& parameter : params.model->parameters()) {
      if (parameter.value.grad().defined()) all.push_back(parameter.value.grad());
    }
    ranks::average(run, all, "the exchange of gradients");
  }

  /// Nobody reads the running statistics before the step has ended; so they move then, group after group in the order of
  /// the step, whichever rank had the group.
  void move_statistics(const RunInfo& run) {
    if (statistics_.empty()) return;
    const Tensor all_G2D = ranks::rows(run, at::stack(statistics_), "the statistics of the groups");
    statistics_.clear();
    for (int64_t group = 0; group < all_G2D.size(0); ++group) params.model->move_statistics(all_G2D[group]);
  }

  double rate(double highest, int64_t step) const {
    if (params.schedule == "cosine") return train::Warmup{params.start, highest, params.final}.at(step, length_);
    return highest * std::pow(1.0 - static_cast<double>(step - 1) / static_cast<double>(length_.total), 0.9);
  }

  void report(StepContext& context) {
    const Tensor host = loss_H_.to(at::kCPU, at::kDouble);
    loss_H_.reset();
    double lowest = std::numeric_limits<double>::infinity();
    for (int64_t head = 0; head < host.numel(); ++head) {
      const double loss = host.const_data_ptr<double>()[head];
      if (std::isfinite(loss)) lowest = std::min(lowest, loss);
    }
    if (std::isinf(lowest)) throw NodeError("the loss of no head is finite any more; lower lrs of the probe are the usual cure");
    context.report("loss", lowest);
  }

  train::Length length_;
  train::HeadOptimizers optimizers_;
  Tensor loss_H_;
  std::vector<Tensor> statistics_;  // of the step's groups on this rank
};

FLOWRUN_NODE(TrainProbe);

}  // namespace
}  // namespace flowrun
