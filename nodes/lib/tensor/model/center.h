// The running mean of a teacher's scores: state of a method, not a model that computes.
#pragma once

#include "nodes/lib/tensor/model/module.h"

namespace flowrun::model {

/// One buffer, center [K], zeros at first. It has no parameters; passes that read it see the value of the step before.
class Center final : public Module {
 public:
  static constexpr const char* kind = "center";

  /// Throws std::invalid_argument for a width below 1.
  explicit Center(int64_t width);

  const Tensor& value_K() const { return buffers_[0]; }
  int64_t width() const { return value_K().size(0); }
  /// center = momentum x center + (1 - momentum) x mean_K, in place, if `if_1` (bool, [1]) is true. Device's thread, without gradient.
  void move(const Tensor& mean_K, double momentum, const Tensor& if_1);

 private:
  std::unique_ptr<Module> fresh() const override { return std::make_unique<Center>(width()); }
};

}  // namespace flowrun::model
