// A learned temperature: a model of one number.
#pragma once

#include "nodes/lib/tensor/model/module.h"

namespace flowrun::model {

/// Parameter logit_scale [1], the logarithm of one over the temperature; constrain() keeps it from falling below `least` (CLIP: 0.01,
/// which scales products by 100).
class Temperature final : public Module {
 public:
  static constexpr const char* kind = "temperature";

  /// Throws std::invalid_argument unless 0 < least <= initial.
  Temperature(double initial, double least);

  /// [1], with its gradient: one over the temperature.
  Tensor scale() const { return parameters_[0].exp(); }
  void constrain() override;
  /// None: one number for each row.
  std::optional<Cost> cost(const Pass&) const override { return Cost(); }

 private:
  std::unique_ptr<Module> fresh() const override { return std::make_unique<Temperature>(initial_, least_); }

  double initial_, least_;
};

}  // namespace flowrun::model
