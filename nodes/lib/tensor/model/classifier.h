// A linear classifier behind an encoder that is trained with it.
#pragma once

#include <string_view>

#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/model/head.h"

namespace flowrun::model {

/// The input of the linear layer.
///   mean   the mean of the patches' raw output of the last block, after a layer norm of the classifier's own (MAE's fine-tuning)
///   cls    the class token after the encoder's final layer norm
enum class Pooling { mean, cls };

/// The names above; throws std::invalid_argument that lists them.
Pooling pooling(std::string_view name);

struct ClassifierConfig {
  int64_t classes = 0;
  int64_t width = 0;  ///< D of the encoder
  Pooling pooling = Pooling::mean;
  double norm_eps = 1e-6;
  double deviation = 2e-5;  ///< of the initial weights; MAE's fine-tuning has 2e-5
};

/// Parameters as timm's VisionTransformer has them: fc_norm (mean only) and head. Thread rule as for Vit.
class Classifier final : public Head {
 public:
  static constexpr const char* kind = "classifier";

  /// Throws std::invalid_argument without classes or width.
  explicit Classifier(const ClassifierConfig& config);

  const ClassifierConfig& config() const { return config_; }
  int64_t in_width() const override { return config_.width; }
  int64_t out_width() const override { return config_.classes; }
  std::optional<Cost> cost(const Pass& pass) const override;

  /// [B, D] -> [B, classes]; the layer norm, if any, included.
  Tensor apply(const Tensor& pooled_BD) const override;

 private:
  std::unique_ptr<Module> fresh() const override { return std::make_unique<Classifier>(config_); }

  ClassifierConfig config_;
};

/// Scores [B, classes] of images [B, C, H, W] in at least float32. With Pooling::mean the encoder's final norm is not
/// used, so it gets no gradient. Throws std::invalid_argument if pooling is cls and there is no class token.
Tensor classify(const Encoder& encoder, const Classifier& classifier, const Tensor& images_BCHW, const EncodeOptions& options);

}  // namespace flowrun::model
