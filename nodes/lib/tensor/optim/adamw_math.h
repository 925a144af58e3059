// AdamW and the exponential moving average over parameter lists, each with one fused call per group.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "nodes/lib/tensor/model/parameters.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun::train {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  bool decay_tokens = true;  ///< class, register and mask tokens are 3-D, so both parents' rule decays them
};

/// Whether weight decay applies: more than one axis and no "bias" in the name (MAE, I-JEPA).
bool is_decayed(const model::Parameter& parameter, bool decay_tokens = true);
/// Factor of the learning rate of each parameter, d^(L + 1 - k): k = 0 for patch embedding, tokens and positions, the
/// number of its block (from 1) for a block's parameter, L + 1 for what stands behind the L blocks (BEiT, MAE).
std::vector<double> layer_decay_factors(const model::Parameters& parameters, double decay);
/// Names that is_decayed refuses, in order.
std::vector<std::string> undecayed_names(const model::Parameters& parameters, bool decay_tokens = true);

/// AdamW with decoupled decay (Loshchilov and Hutter), over ATen's fused operator.
///
/// Moments live beside the parameters (same device and type) and appear at a parameter's first step. A parameter
/// without a gradient is skipped: no decay, no step. Not thread-safe; one thread at a time.
class AdamW {
 public:
  explicit AdamW(AdamWOptions options = {}) : options_(options) {}

  /// Trains `parameters`, which must outlive this. `prefix` tells equal names apart in state(): "student", "predictor".
  /// `factors`, if any, multiply the learning rate of each parameter; `kept`, if any, are those that are updated here: others
  /// are passed over and have no state. Throws std::invalid_argument if the prefix is taken.
  void add(std::string prefix, model::Parameters& parameters, double lr_multiplier = 1.0, const std::vector<double>& factors = {},
           std::vector<bool> kept = {});

  /// One update from the gradients that are there; they stay. `weight_decay` goes to decayed parameters.
  void step(double lr, double weight_decay);
  void zero_grad();

  /// Everything a checkpoint needs: "prefix.name.exp_avg", ".exp_avg_sq" (shaped as the parameter) and ".step"
  /// (scalar float32, updates so far), of the parameters updated at least once. Shares storage.
  std::vector<std::pair<std::string, Tensor>> state() const;
  /// Takes back one tensor of state(), copied, unless it is of a parameter that isn't kept. Throws std::invalid_argument for
  /// a name or shape that does not fit.
  void restore(std::string_view name, const Tensor& value);

 private:
  struct Slot {
    Tensor exp_avg, exp_avg_sq, step;
  };
  struct Group {
    std::string prefix;
    model::Parameters* parameters;
    std::vector<Slot> slots;  ///< one per parameter, undefined until its first step
    std::vector<bool> kept;
    /// Parameters that one fused call updates: those of one (decayed, learning-rate factor).
    std::map<std::pair<bool, double>, std::vector<size_t>> buckets;
  };
  void step_bucket(Group& group, const std::vector<size_t>& members, double lr, double weight_decay);

  AdamWOptions options_;
  std::vector<Group> groups_;
};

/// target <- momentum * target + (1 - momentum) * source, parameter by parameter. Throws std::invalid_argument unless
/// both hold the same names in the same order.
void ema_update(model::Parameters& target, const model::Parameters& source, double momentum);

}  // namespace flowrun::train
