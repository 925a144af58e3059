// The shared part of all optimizers, around their rules: backward passes, exchange of gradients, schedules, clipping, shards, state.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "graph/node.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/optim/gradient_homes.h"
#include "nodes/lib/tensor/optim/optimizer.h"
#include "nodes/lib/tensor/optim/own_models.h"
#include "nodes/lib/tensor/optim/schedule.h"
#include "nodes/lib/tensor/optim/shard.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun::train {

struct LearningRate {
  double start = 0, max = 0, final = 0;
  void describe(auto& param) {
    param("start", start, not_negative, "At the beginning of the warm-up.");
    param("max", max, not_negative, "At the end of the warm-up.");
    param("final", final, not_negative, "At the last step.");
  }
};

/// Texts of an optimizer's page for shared parameters whose defaults are its own.
struct LearnerWords {
  const char* lr;
  const char* warmup_epochs;
  const char* weight_decay;
};

/// Parameters that do not learn in the first epochs: the last layer of DINO's head.
struct Freeze {
  std::vector<std::string> match;
  double epochs = 0;
  void describe(auto& param) {
    param("match", match, "Parts of names, MODEL.PARAMETER: \"head.last_layer\". Parameters whose names contain one of them rest.");
    param("epochs", epochs, not_negative, "For how long, from the beginning of the run.");
  }
};

/// Parameters whose learning rate differs from the others'.
struct Rates {
  std::vector<std::string> match, steady;
  std::vector<double> times;
  void describe(auto& param) {
    param("match", match, "Parts of names, MODEL.PARAMETER: \"student.patch_embed\".");
    param("times", times, not_negative, "The factor of each of these. Where several parts of match are in a name, all act.");
    param("steady", steady, "Parts of names whose learning rate stays at max: the predictor's of SimSiam.");
  }
};

/// The parameters that all optimizers share. A node's Params derive from it, set defaults in their constructor and add their own.
struct LearnerParams {
  Ref<model::Module> models;
  LearningRate lr;
  std::string schedule = "cosine", lr_scaling = "none", weight_decay_schedule = "cosine", clip_over = "all", norm_every, per = "step";
  Freeze freeze;
  Rates rates;
  std::vector<std::string> no_decay;
  double warmup_epochs = -1, weight_decay = 0, weight_decay_final = -1, clip = 0, stretch = 1, reference_batch = 256, layer_decay = 1;
  std::vector<double> lr_multipliers, milestones;
  double milestone_factor = 0.1;
  bool shard = false, decay_tokens = true;
  double warmup_share = 0;  ///< of the run, where warmup_epochs is -1; no parameter of pipelines

  /// `own` describes the parameters of the rule, which stand behind those of weight decay.
  void describe(ParamVisitor& param, const LearnerWords& words, const std::function<void()>& own);
  std::optional<ParamFault> check() const;
};

/// Trains models with a rule. Used by one node, on the device's thread: open() once, backward() for each group of a step, step()
/// behind the last. With several ranks all of it is collective.
class Learner {
 public:
  Learner() = default;
  Learner(const Learner&) = delete;  // what gathers its shards points here
  Learner& operator=(const Learner&) = delete;

  /// `params` must outlive this; `everything_decays` includes biases and parameters of one axis. Throws NodeError for a warm-up
  /// longer than the run.
  void open(const OpenContext& context, const LearnerParams& params, std::shared_ptr<const Rule> rule, bool everything_decays = false);
  /// The backward pass of a group, whose loss is its own mean. May be recorded. Throws NodeError for a loss that is not finite, where
  /// that can be seen without waiting for the device, and RankError.
  void backward(const Tensor& loss, const FoldContext& context);
  /// Clips, updates, forgets the gradients, and reports lr and grad_norm. Throws RankError.
  void step(StepContext& context);

  State save() const;
  void restore(const State& state);

 private:
  void open_schedules(const OpenContext& context);
  void open_optimizer(const OpenContext& context, std::shared_ptr<const Rule> rule, bool everything_decays);
  std::vector<double> rate_factors(size_t model) const;
  void open_freeze(const RunInfo& run);
  PerParameter per_parameter(size_t model) const;
  double rate(int64_t schedule_step) const;
  std::pair<std::vector<std::string>, std::vector<Tensor>> trained() const;
  std::vector<std::vector<Tensor>> gradients() const;
  void clip(StepContext& context) const;

  const LearnerParams* params_ = nullptr;
  Length length_;
  Warmup lr_;
  Ramp weight_decay_;
  int64_t frozen_steps_ = 0;  // from the first one
  int64_t steps_per_epoch_ = 1;
  std::optional<Optimizer> optimizer_;
  std::optional<OwnModels> own_;
  bool looked_ = false;  // the first pass has shown that the loss reaches own models alone
  std::optional<Shards> shards_;
  std::optional<GradientHomes> homes_;  // where work is recorded
  std::unique_ptr<ranks::GradientExchange> exchange_;
};

/// The common members of all optimizers' nodes beside info, Params and open().
struct LearnerNode {
  struct Ports {
    In<Loss> loss{"loss", "What to minimise."};
    void describe(auto& port) { port(loss); }
  };
  void fold(Ports& port, const FoldContext& context) { learner_.backward(port.loss->value, context); }
  void run(Ports&, StepContext& context) { learner_.step(context); }
  State save() const { return learner_.save(); }
  void restore(const State& state) { learner_.restore(state); }
  /// For a node's plan(); `states`: how many numbers its rule keeps of each parameter.
  static void plan(NodePlan& plan, const LearnerParams& params, double states);

 protected:
  Learner learner_;
};

}  // namespace flowrun::train
