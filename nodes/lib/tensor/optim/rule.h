// The formula of an optimizer, apart from everything around it.
#pragma once

#include <vector>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::train {

/// State that a rule keeps of each parameter from step to step. It is zero before the parameter's first update.
struct StateSlot {
  const char* name;     ///< the last part of its name in checkpoints: "student.norm.weight.exp_avg"
  bool scalar = false;  ///< one float32; otherwise of the parameter's shape and type
};

/// Parameters that one call updates. All lists have the same length and order.
struct Bucket {
  std::vector<Tensor> values, gradients;
  std::vector<std::vector<Tensor>> states;  ///< a list for each slot of the rule
};

/// How parameters follow their gradients: AdamW, SGD, LARS. A rule holds constants alone, so several optimizers may share it.
class Rule {
 public:
  virtual ~Rule() = default;
  virtual const std::vector<StateSlot>& slots() const = 0;
  /// Changes values and states in place and leaves the gradients as they are. `weight_decay` is 0 for parameters that don't decay.
  /// Called without grad mode, on the device's thread. It must not look at values on the host: that would wait for the device.
  virtual void update(const Bucket& bucket, double lr, double weight_decay) const = 0;
};

}  // namespace flowrun::train
