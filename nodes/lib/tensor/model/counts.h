// How often each class is met: state of a method, not a model that computes.
#pragma once

#include "nodes/lib/tensor/model/module.h"

namespace flowrun::model {

/// One buffer, shares [K], which sum to 1; equal at first. It has no parameters; passes that read it see the value of the step before.
class Counts final : public Module {
 public:
  static constexpr const char* kind = "counts";

  /// Throws std::invalid_argument for fewer than one class.
  explicit Counts(int64_t classes);

  const Tensor& shares_K() const { return buffers_[0]; }
  int64_t classes() const { return shares_K().size(0); }
  /// shares = decay x shares + (1 - decay) x those of counts_K; counts of 0 change nothing. Device's thread, without gradient.
  void move(const Tensor& counts_K, double decay);

 private:
  std::unique_ptr<Module> fresh() const override { return std::make_unique<Counts>(classes()); }
};

}  // namespace flowrun::model
