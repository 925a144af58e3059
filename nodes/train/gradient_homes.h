// Gradients that keep their place in memory, as work that is recorded needs it.
#pragma once

#include <memory>
#include <vector>

#include "nodes/tensor.h"

namespace flowrun::train {

/// Where the gradients of some parameters lie after each backward pass, though every pass that finds none makes new ones.
/// Device's thread only.
class GradientHomes {
 public:
  explicit GradientHomes(std::vector<Tensor> parameters);
  /// Before a backward pass.
  void begin() const;
  /// After it: moves what it made, bit by bit, and tells the recording that it did.
  void settle();

 private:
  struct Homes {
    std::vector<Tensor> parameters, homes;  // homes undefined until there is a gradient
  };
  std::shared_ptr<Homes> all_;  // recordings may outlive this
};

}  // namespace flowrun::train
