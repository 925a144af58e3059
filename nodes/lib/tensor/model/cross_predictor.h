// CrossMAE's predictor (Fu et al. 2024): mask tokens look at the encoder's blocks, and never at each other.
#pragma once

#include <optional>
#include <vector>

#include "nodes/lib/tensor/model/predictor.h"
#include "nodes/lib/tensor/model/rotary.h"

namespace flowrun::model {

struct CrossPredictorConfig {
  int64_t grid = 14;
  int64_t encoder_width = 384;  ///< D
  int64_t maps = 12;            ///< blocks of the encoder that are mixed; 0: its final output alone
  int64_t width = 512;          ///< P
  int64_t depth = 12;
  int64_t heads = 16;
  int64_t out_width = 768;  ///< O
  double mlp_ratio = 4;
  double norm_eps = 1e-6;
  Positions positions = Positions::sincos;  ///< sincos or rotary
};

/// Queries are mask tokens: position and mask vector. Each layer reads its own learned linear mix of all outputs of the
/// encoder's blocks (no softmax; weights drawn from N(0, 1 / maps)), layer-normed, by cross-attention, and has an MLP:
///
///   x += cross_attention(norm1(x), memory);   x += fc2(gelu(fc1(norm2(x))))
///
/// Parameter names are those of CrossMAE's decoder without "decoder_". Thread rule as for Vit.
class CrossPredictor final : public Predictor {
 public:
  /// Throws std::invalid_argument, naming both numbers, unless the heads divide the width.
  explicit CrossPredictor(CrossPredictorConfig config);

  const CrossPredictorConfig& config() const { return config_; }
  int64_t in_width() const override { return config_.encoder_width; }
  int64_t out_width() const override { return config_.out_width; }
  int64_t grid() const override { return config_.grid; }
  void to(at::Device device, at::ScalarType dtype) override;
  std::optional<Cost> cost(const Pass& pass) const override;

  /// Needs in.maps_BSD (config().maps of them) or, with no maps, class token, registers and patches. [B, R, M, O].
  Tensor predict(const PredictorInputs& in) const override;

 private:
  std::unique_ptr<Module> fresh() const override;
  struct Layer {
    size_t norm1, query, key_value, proj, norm2, fc1, fc2, memory_norm;
  };
  Layer add_layer(int64_t number);
  Tensor memory(const PredictorInputs& in, int64_t layer) const;
  /// Rotary positions of queries and of keys.
  struct Turned {
    Rotation query, key;
  };
  std::optional<Turned> rotation_of(const PredictorInputs& in) const;
  void place_tables(at::Device device, at::ScalarType dtype);
  Tensor attend(const Layer& at, const Tensor& x_BMP, const Tensor& memory_BSD, const std::optional<Turned>& turned) const;
  Tensor feed_forward(const Layer& at, const Tensor& x_BMP) const;
  Tensor linear(const Tensor& x, size_t place) const;
  Tensor norm(const Tensor& x, size_t place) const;

  CrossPredictorConfig config_;
  std::vector<Layer> layers_;
  size_t mask_ = 0, mix_ = 0, norm_ = 0, proj_ = 0;
  Tensor positions_NP_;                // sincos
  Tensor places_N2_, frequencies_2E_;  // rotary
};

}  // namespace flowrun::model
