// data2vec 2.0's predictor (Baevski et al. 2023): grouped convolutions over the whole grid.
#pragma once

#include <vector>

#include "nodes/lib/tensor/model/predictor.h"

namespace flowrun::model {

struct ConvPredictorConfig {
  int64_t grid = 14;
  int64_t encoder_width = 768;  ///< D
  int64_t width = 768;          ///< P
  int64_t depth = 6;
  int64_t groups = 16;
  int64_t kernel = 3;       ///< odd
  int64_t out_width = 768;  ///< O
  double noise = 0.01;      ///< standard deviation of the noise at hidden positions
};

/// The visible patches take their places in the grid, hidden places get Gaussian noise; then, `depth` times, a grouped
/// convolution, a layer norm over channels without gain (eps 1e-5) and GELU, added to its input if the widths agree; a
/// linear layer comes last. The class token is not used.
class ConvPredictor final : public Predictor {
 public:
  /// Throws std::invalid_argument unless the groups divide both widths and the kernel is odd.
  explicit ConvPredictor(ConvPredictorConfig config);

  const ConvPredictorConfig& config() const { return config_; }
  int64_t in_width() const override { return config_.encoder_width; }
  int64_t out_width() const override { return config_.out_width; }
  int64_t grid() const override { return config_.grid; }
  bool draws() const override { return config_.noise > 0; }
  std::optional<Cost> cost(const Pass& pass) const override;

  /// The noise depends only on in.noise, the shape and the kind of device. [B, R, M, O].
  Tensor predict(const PredictorInputs& in) const override;
  /// The same with the grid's content given: x_BND [B, N, D] -> [B, N, O].
  Tensor decode(const Tensor& x_BND) const;

 private:
  std::unique_ptr<Module> fresh() const override;
  Tensor fill_grid(const PredictorInputs& in) const;

  ConvPredictorConfig config_;
  std::vector<size_t> layers_;
  size_t proj_ = 0;
};

}  // namespace flowrun::model
