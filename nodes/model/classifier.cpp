#include "nodes/model/classifier.h"

#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <stdexcept>

namespace flowrun::model {
namespace {

/// bf16 of autocast becomes float32; float64 stays.
Tensor wide(const Tensor& x) { return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat); }

/// The last block's raw output of the patches, [B, N, D]. Only drop path needs the pass that keeps every block's
/// output.
Tensor last_block(const Vit& encoder, const Tensor& images_BCHW, const Tensor& drop_path) {
  const VitConfig& config = encoder.config();
  if (!drop_path.defined()) return encoder.hidden(images_BCHW, {config.depth}).front();
  const Vit::Tokens tokens = encoder.features(images_BCHW, {.drop_path = drop_path, .maps = true});
  return tokens.maps_BSD.back().narrow(1, config.prefix(), config.patches());
}

}  // namespace

Pooling pooling(std::string_view name) {
  if (name == "mean") return Pooling::mean;
  if (name == "cls") return Pooling::cls;
  throw std::invalid_argument("unknown pooling \"" + std::string(name) + "\": mean or cls");
}

Classifier::Classifier(const ClassifierConfig& config) : config_(config) {
  if (config.classes < 1 || config.width < 1) throw std::invalid_argument("a classifier needs classes and a width");
  if (config.pooling == Pooling::mean) {
    parameters_.add("fc_norm.weight", {config.width}, Init::ones);
    parameters_.add("fc_norm.bias", {config.width}, Init::zeros);
  }
  parameters_.add_normal("head.weight", {config.classes, config.width}, config.deviation);
  parameters_.add("head.bias", {config.classes}, Init::zeros);
}

Tensor Classifier::scores(const Tensor& pooled_BD) const {
  const size_t head = parameters_.size() - 2;
  const Tensor x_BD = head == 0 ? pooled_BD : at::layer_norm(pooled_BD, {config_.width}, parameters_[0], parameters_[1], config_.norm_eps);
  return at::linear(x_BD, parameters_[head], parameters_[head + 1]);
}

Tensor classify(const Vit& encoder, const Classifier& classifier, const Tensor& images_BCHW, const Tensor& drop_path) {
  if (classifier.config().pooling == Pooling::mean) {
    return wide(classifier.scores(wide(last_block(encoder, images_BCHW, drop_path)).mean(1)));
  }
  const Vit::Tokens tokens = encoder.features(images_BCHW, {.drop_path = drop_path});
  if (!tokens.cls_B1D.defined()) throw std::invalid_argument("pooling is cls, but the encoder has no class token");
  return wide(classifier.scores(tokens.cls_B1D.select(1, 0)));
}

}  // namespace flowrun::model
