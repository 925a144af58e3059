// Stochastic gradient descent with momentum.
#pragma once

#include <vector>

#include "nodes/lib/tensor/optim/rule.h"

namespace flowrun::train {

struct SgdOptions {
  double momentum = 0.9;  ///< 0: none, and nothing is kept
  bool nesterov = false;
};

/// PyTorch's SGD without dampening: g' = g + wd w; m = mu m + g'; w -= lr m, or with nesterov lr (g' + mu m). Over ATen's fused
/// operator. Keeps m as "momentum_buffer".
class SgdRule final : public Rule {
 public:
  explicit SgdRule(SgdOptions options = {}) : options_(options) {}
  const std::vector<StateSlot>& slots() const override;
  void update(const Bucket& bucket, double lr, double weight_decay) const override;

 private:
  SgdOptions options_;
};

}  // namespace flowrun::train
