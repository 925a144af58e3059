// The probabilities that a network last gave to each sample: state of a method, not a model that computes.
#pragma once

#include "nodes/lib/tensor/model/module.h"
#include "nodes/lib/tensor/model/per_sample.h"

namespace flowrun::model {

/// One buffer, probabilities [M, C], zeros at first: rows that sum to 1, or 0 of samples that were not seen. It has no parameters; passes that
/// read it see the rows of the step before.
class Memory final : public Module, public PerSample {
 public:
  static constexpr const char* kind = "memory";

  /// Throws std::invalid_argument for a size below 1.
  Memory(int64_t samples, int64_t classes);

  const Tensor& probabilities_MC() const { return buffers_[0]; }
  int64_t samples() const override { return probabilities_MC().size(0); }
  int64_t classes() const { return probabilities_MC().size(1); }
  double table_bytes() const override { return 4 * static_cast<double>(samples()) * static_cast<double>(classes()); }

 private:
  std::unique_ptr<Module> fresh() const override { return std::make_unique<Memory>(samples(), classes()); }
};

}  // namespace flowrun::model
