// Layer-wise adaptive rate scaling (You, Gitman and Ginsburg 2017), in the three forms that published code has.
#pragma once

#include <vector>

#include "nodes/lib/tensor/optim/rule.h"

namespace flowrun::train {

/// With w a tensor of more than one axis, g its gradient, wd its decay, lr the rate:
///   decoupled  g' = r (g + wd w), r = eta |w| / |g + wd w|; m = mu m + g'; w -= lr m
///   classic    the same r and g'; m = mu m + lr g'; w -= m
///   clip       g' = r (g + wd w), r = min(eta |w| / (|g| + wd |w| + 1e-8) / lr, 1); m = mu m + g'; w -= lr m
/// Where |w| or the norm below it is 0, r is 1; in clip such a tensor doesn't decay either. A tensor of one axis has g' = g, unless `one_axis`.
enum class LarsForm { decoupled, classic, clip };

struct LarsOptions {
  LarsForm form = LarsForm::decoupled;
  double eta = 0.001, momentum = 0.9;
  bool one_axis = false;  ///< tensors of one axis are scaled as well
};

/// Keeps m as "momentum_buffer"; m is 0 before the first step, so that m = g' in it.
class LarsRule final : public Rule {
 public:
  explicit LarsRule(LarsOptions options = {}) : options_(options) {}
  const std::vector<StateSlot>& slots() const override;
  void update(const Bucket& bucket, double lr, double weight_decay) const override;

 private:
  /// Tensors, with what belongs to them.
  struct Part {
    std::vector<Tensor> values, gradients, momenta;
  };
  std::vector<Tensor> adapted(const Part& part, double lr, double weight_decay) const;
  void move(const Part& part, const std::vector<Tensor>& directions, double lr) const;

  LarsOptions options_;
};

}  // namespace flowrun::train
