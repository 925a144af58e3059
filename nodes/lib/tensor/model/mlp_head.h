// Heads of self-supervised methods: a few linear layers behind an encoder, and prototypes.
#pragma once

#include <optional>
#include <vector>

#include "nodes/lib/tensor/model/batch_norm.h"
#include "nodes/lib/tensor/model/head.h"

namespace flowrun::model {

enum class HeadActivation { relu, gelu, none };
enum class HeadNorm { none, layer, batch };
/// Behind the last layer. batch_plain: without gains and shifts.
enum class LastNorm { none, batch, batch_gain, batch_plain };
/// torch: uniform in ±1/sqrt(inputs), weights and biases. dino: weights N(0, 0.02²) cut at ±2, biases 0. normal: weights N(0, 1), biases 0.
/// scaled: weights N(0, 1/inputs), biases 0.
enum class HeadInit { torch, dino, normal, scaled };

/// Rows of any length; rows divided by their length, times gains; rows that constrain() keeps at length 1 (SwAV).
enum class Prototypes { linear, weight_norm, unit };

struct MlpHeadConfig {
  int64_t in = 0;               ///< width of what it is applied to
  int64_t squeeze = 0;          ///< > 0: a linear layer to this width comes first, with nothing behind it (Franca)
  std::vector<int64_t> layers;  ///< widths of the linear layers; between them norm and activation. None: prototypes alone
  HeadActivation activation = HeadActivation::relu;
  bool last_activation = false;  ///< behind the last layer, too
  HeadNorm norm = HeadNorm::none;
  bool input_unit = false;  ///< rows get length 1 first
  LastNorm last_norm = LastNorm::none;
  bool bias = true;        ///< of the linear layers that no batch norm follows
  bool last_bias = true;   ///< of the last one, if it has biases at all
  int64_t prototypes = 0;  ///< K > 0: the rows get length 1, then a layer without bias gives K scores
  Prototypes prototype_kind = Prototypes::weight_norm;
  bool gain_trained = false;
  HeadInit init = HeadInit::torch;
};

/// Parameters are named as in DINO's code: mlp.0, mlp.2, …, last_layer.weight_v, and last_layer.weight_g if the gains are trained; squeeze is the
/// layer in front. Thread rule as for Vit.
class MlpHead final : public Head {
 public:
  /// Throws std::invalid_argument without an input, or without layers and prototypes.
  explicit MlpHead(MlpHeadConfig config);

  const MlpHeadConfig& config() const { return config_; }
  int64_t in_width() const override { return config_.in; }
  int64_t out_width() const override { return config_.prototypes > 0 ? config_.prototypes : config_.layers.back(); }
  std::optional<Cost> cost(const Pass& pass) const override;

  /// [n, in] -> [n, out_width], in the precision of autocast.
  Tensor apply(const Tensor& x_nD) const override { return apply(x_nD, NormPass()); }
  Tensor apply(const Tensor& x_nD, const NormPass& pass) const override;
  void constrain() override;
  BatchNorms* norms() override { return norms_.empty() ? nullptr : &norms_; }

 private:
  std::unique_ptr<Module> fresh() const override { return std::make_unique<MlpHead>(config_); }
  size_t add(const std::string& name, int64_t out, int64_t in, bool bias);

  MlpHeadConfig config_;
  struct Layer {
    size_t weight = 0;
    std::optional<size_t> bias, gain, norm;  // gain: of the layer norm behind it, whose shift follows; norm: the batch norm
  };
  std::vector<Layer> layers_;
  std::optional<size_t> squeeze_;  // its weight, which the bias follows
  BatchNorms norms_{parameters_, buffers_};
  size_t prototypes_ = 0;       // last_layer.weight_v
  std::optional<size_t> gain_;  // last_layer.weight_g, if it is trained
};

}  // namespace flowrun::model
