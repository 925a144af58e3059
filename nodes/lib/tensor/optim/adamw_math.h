// AdamW and the exponential moving average over parameter lists, each with one fused call per group.
#pragma once

#include <vector>

#include "nodes/lib/tensor/model/parameters.h"
#include "nodes/lib/tensor/optim/optimizer.h"
#include "nodes/lib/tensor/optim/rule.h"

namespace flowrun::train {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  bool decay_tokens = true;  ///< class, register and mask tokens are 3-D, so both parents' rule decays them
};

/// AdamW with decoupled decay (Loshchilov and Hutter), over ATen's fused operator. Keeps two moments and the number of updates.
class AdamWRule final : public Rule {
 public:
  explicit AdamWRule(AdamWOptions options = {}) : options_(options) {}
  const std::vector<StateSlot>& slots() const override;
  void update(const Bucket& bucket, double lr, double weight_decay) const override;

 private:
  AdamWOptions options_;
};

/// An optimizer of that rule. Its state: "prefix.name.exp_avg", ".exp_avg_sq" (shaped as the parameter) and ".step" (scalar
/// float32, updates so far).
class AdamW : public Optimizer {
 public:
  explicit AdamW(AdamWOptions options = {});
};

/// target <- momentum * target + (1 - momentum) * source, parameter by parameter. Throws std::invalid_argument unless
/// both hold the same names in the same order.
void ema_update(model::Parameters& target, const model::Parameters& source, double momentum);

}  // namespace flowrun::train
