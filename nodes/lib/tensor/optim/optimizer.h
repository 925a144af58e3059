// Parameter lists that one rule updates, a few calls for each list.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "nodes/lib/tensor/model/parameters.h"
#include "nodes/lib/tensor/optim/rule.h"

namespace flowrun::train {

/// Which parameters decay.
struct Decayed {
  bool tokens = true;       ///< class, register and mask tokens: they have three axes, so both parents' rule decays them
  bool everything = false;  ///< also parameters of one axis and biases, as PyTorch's optimizers do; tokens as above
};

/// Whether weight decay applies: more than one axis and no "bias" in the name (MAE, I-JEPA).
bool is_decayed(const model::Parameter& parameter, bool decay_tokens = true);
/// Names that is_decayed refuses, in order.
std::vector<std::string> undecayed_names(const model::Parameters& parameters, bool decay_tokens = true);
/// Factor of the learning rate of each parameter, d^(L + 1 - k): k = 0 for patch embedding, tokens and positions, the
/// number of its block (from 1) for a block's parameter, L + 1 for what stands behind the L blocks (BEiT, MAE).
std::vector<double> layer_decay_factors(const model::Parameters& parameters, double decay);

/// Settings of the single parameters of a list. An empty member: all parameters have the same.
struct PerParameter {
  std::vector<double> factors;  ///< of the learning rate
  std::vector<bool> kept;       ///< the ones that are updated here: others are passed over and have no state
  std::vector<bool> steady;     ///< their learning rate is that of step()'s `steady_lr`
  std::vector<bool> undecayed;  ///< they never decay
};

/// Applies a rule to parameter lists.
///
/// States live beside the parameters (same device) and appear at a parameter's first step. A parameter without a gradient is
/// skipped: no decay, no step. Every update raises the version of the values. Not thread-safe; one thread at a time.
class Optimizer {
 public:
  explicit Optimizer(std::shared_ptr<const Rule> rule, Decayed decayed = {}) : rule_(std::move(rule)), decayed_(decayed) {}

  /// Trains `parameters`, which must outlive this. `prefix` tells equal names apart in state(): "student", "predictor".
  /// Throws std::invalid_argument if the prefix is taken.
  void add(std::string prefix, model::Parameters& parameters, double lr_multiplier = 1.0, PerParameter each = {});

  /// Parameters of the list that rest while step() is called with `resting`: no step, no decay, no state. Throws std::out_of_range for
  /// an unknown prefix.
  void let_rest(const std::string& prefix, std::vector<bool> which);

  /// One update from the gradients that are there; they stay. `weight_decay` goes to decayed parameters.
  void step(double lr, double weight_decay, bool resting = false) { step(lr, weight_decay, resting, lr); }
  void step(double lr, double weight_decay, bool resting, double steady_lr);
  void zero_grad();

  /// Everything a checkpoint needs: "prefix.name.slot" for each slot of the rule, of the parameters updated at least once. Shares
  /// storage.
  std::vector<std::pair<std::string, Tensor>> state() const;
  /// Takes back one tensor of state(), copied, unless it is of a parameter that isn't kept. Throws std::invalid_argument for
  /// a name or shape that does not fit.
  void restore(std::string_view name, const Tensor& value);

  const Rule& rule() const { return *rule_; }

 private:
  using States = std::vector<Tensor>;  // one tensor per slot of the rule, undefined until the first step
  struct Group {
    std::string prefix;
    model::Parameters* parameters;
    std::vector<States> states;  // one per parameter
    std::vector<bool> kept, rests;
    // Parameters that one call updates: those of one (decayed, learning-rate factor, steady).
    std::map<std::tuple<bool, double, bool>, std::vector<size_t>> buckets;
  };
  bool decays(const model::Parameter& parameter) const;
  void make_states(const Tensor& value, States& states) const;
  void step_bucket(Group& group, const std::vector<size_t>& members, double lr, double weight_decay, bool resting);
  /// False: the slot has another name or the value another shape.
  bool restore_slot(const Tensor& parameter, States& states, std::string_view slot, const Tensor& value) const;

  std::shared_ptr<const Rule> rule_;
  Decayed decayed_;
  std::vector<Group> groups_;
};

}  // namespace flowrun::train
