// The networks of factor transfer (Kim et al. 2018): a teacher's paraphraser, and a student's translator.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "nodes/lib/tensor/model/batch_norm.h"
#include "nodes/lib/tensor/model/module.h"

namespace flowrun::model {

struct FactorsConfig {
  int64_t stage = 0;      ///< of the encoder whose maps come in
  int64_t in = 0;         ///< channels of those maps
  int64_t out = 0;        ///< channels of the factors
  bool norm = false;      ///< batch norm behind each convolution, which has no bias then
  bool rebuilds = false;  ///< has the way back from factors to maps: a paraphraser
};

/// Three 3x3 convolutions to the factors, of which the first keeps the channels, each with a leaky ReLU (slope 0.1); the way back has three more, in
/// the opposite order. (Its convolutions are transposed ones in the authors' networks: with stride 1 these are the same functions.) Convolutions
/// begin as He et al. 2015 over the fan-out. Thread rule as for Vit.
class Factors final : public Module {
 public:
  static constexpr const char* kind = "factors";

  /// Throws std::invalid_argument without channels.
  explicit Factors(const FactorsConfig& config);

  const FactorsConfig& config() const { return config_; }
  /// [B, in, H, W] -> [B, out, H, W].
  Tensor factors(const Tensor& map_BCHW, const NormPass& pass) const;
  /// [B, in, H, W] -> [B, in, H, W], through the factors. Throws std::invalid_argument unless the configuration rebuilds.
  Tensor rebuilt(const Tensor& map_BCHW, const NormPass& pass) const;
  BatchNorms* norms() override { return norms_.empty() ? nullptr : &norms_; }
  /// Of a pass over a map of `places` places, with the way back or without.
  Cost cost_of(double places, bool back) const;

 private:
  struct Layer {
    size_t weight;
    std::optional<size_t> bias, norm;
  };
  std::unique_ptr<Module> fresh() const override { return std::make_unique<Factors>(config_); }
  Layer add(const std::string& part, int64_t number, int64_t in, int64_t out);
  Tensor through(const std::vector<Layer>& layers, Tensor x, const NormPass& pass) const;

  FactorsConfig config_;
  BatchNorms norms_{parameters_, buffers_};
  std::vector<Layer> encoder_, decoder_;
};

}  // namespace flowrun::model
