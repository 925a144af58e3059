// Gradients that keep their place in memory, as work that is recorded needs it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::train {

/// Where the gradients of some parameters lie, whichever group of a step they are of: each backward pass adds to them, and before
/// the first of a step they are zero. So the first group of a step does the same work as the others. A parameter that no pass of
/// the step has reached has no gradient. Device's thread only.
class GradientHomes {
 public:
  explicit GradientHomes(std::vector<Tensor> parameters);
  /// Before a backward pass.
  void begin();
  /// After it: gives a place to gradients that had none, and tells the recording what there is. Throws std::logic_error where a
  /// recorded pass makes the first gradient of a parameter.
  void settle();
  /// After the update, when the parameters have no gradients any more.
  void clear() const;

 private:
  struct Homes {
    std::vector<Tensor> parameters, homes;  // homes undefined until there is a gradient
  };
  std::shared_ptr<Homes> all_;  // recordings may outlive this
  std::vector<int64_t> lent_;   // per parameter: the version of a home that is lent to this pass; -1: none is
};

}  // namespace flowrun::train
