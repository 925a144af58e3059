// A small network from the maps of a student's stage to those of a teacher's.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "nodes/lib/tensor/model/batch_norm.h"
#include "nodes/lib/tensor/model/module.h"

namespace flowrun::model {

struct RegressorConfig {
  int64_t stage = 0;      ///< the student's, whose maps come in
  int64_t to_stage = 0;   ///< the teacher's, whose maps are the aim
  int64_t in = 0;         ///< channels of the first
  int64_t out = 0;        ///< channels of the second, also between several layers
  int64_t layers = 1;     ///< 1x1 convolutions, with relu between them
  bool norm = true;       ///< batch norm behind the last one, which has no bias then
  bool relu = true;       ///< at the end
  bool variance = false;  ///< learns a variance of each channel (VID)
};

/// Convolutions begin as He et al. 2015 over the fan-out, variances at 5. Thread rule as for Vit.
class Regressor final : public Module {
 public:
  static constexpr const char* kind = "regressor";

  /// Throws std::invalid_argument without channels or layers.
  explicit Regressor(const RegressorConfig& config);

  const RegressorConfig& config() const { return config_; }
  /// [B, in, H, W] -> [B, out, H, W].
  Tensor apply(const Tensor& map_BCHW, const NormPass& pass) const;
  /// [out], above 1e-5, with a gradient history; undefined unless the configuration has it.
  Tensor variance_C() const;
  BatchNorms* norms() override { return norms_.empty() ? nullptr : &norms_; }
  /// Of a pass over a map of `places` places.
  Cost cost_of(double places) const;

 private:
  std::unique_ptr<Module> fresh() const override { return std::make_unique<Regressor>(config_); }

  RegressorConfig config_;
  BatchNorms norms_{parameters_, buffers_};
  std::vector<size_t> weights_;
  std::optional<size_t> bias_, norm_, scale_;
};

}  // namespace flowrun::model
