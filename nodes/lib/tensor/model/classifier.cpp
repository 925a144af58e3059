#include "nodes/lib/tensor/model/classifier.h"

#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <stdexcept>

#include "nodes/lib/tensor/device/float32.h"
#include "nodes/lib/tensor/model/cost.h"

namespace flowrun::model {
namespace {

/// The last block's raw output of the patches, [B, N, D]. Only drop path and batch norms need the way that keeps every block's output.
Tensor last_block(const Encoder& encoder, const Tensor& images_BCHW, EncodeOptions options) {
  const EncoderShape shape = encoder.shape();
  if (!options.drop_path.defined() && !options.norm.measures)
    return encoder.hidden(images_BCHW, {shape.depth}, Tap::output, /*norm_last=*/false).front();
  options.maps = true;
  const Tensor last_BSD = encoder.encode(images_BCHW, Seen(), options).maps_BSD.back();
  return last_BSD.narrow(1, shape.prefix, last_BSD.size(1) - shape.prefix);
}

}  // namespace

Pooling pooling(std::string_view name) {
  if (name == "mean") return Pooling::mean;
  if (name == "cls") return Pooling::cls;
  throw std::invalid_argument("unknown pooling \"" + std::string(name) + "\": mean or cls");
}

Classifier::Classifier(const ClassifierConfig& config) : Head("classifier"), config_(config) {
  if (config.classes < 1 || config.width < 1) throw std::invalid_argument("a classifier needs classes and a width");
  if (config.pooling == Pooling::mean) {
    parameters_.add("fc_norm.weight", {config.width}, Init::ones);
    parameters_.add("fc_norm.bias", {config.width}, Init::zeros);
  }
  parameters_.add_normal("head.weight", {config.classes, config.width}, config.deviation);
  parameters_.add("head.bias", {config.classes}, Init::zeros);
}

Tensor Classifier::apply(const Tensor& pooled_BD) const {
  const size_t head = parameters_.size() - 2;
  const Tensor x_BD = head == 0 ? pooled_BD : at::layer_norm(pooled_BD, {config_.width}, parameters_[0], parameters_[1], config_.norm_eps);
  return at::linear(x_BD, parameters_[head], parameters_[head + 1]);
}

std::optional<Cost> Classifier::cost(const Pass&) const { return classifier_cost(config_); }

Tensor classify(const Encoder& encoder, const Classifier& classifier, const Tensor& images_BCHW, const EncodeOptions& options) {
  if (classifier.config().pooling == Pooling::mean) {
    return at_least_float(classifier.apply(at_least_float(last_block(encoder, images_BCHW, options)).mean(1)));
  }
  const Tokens tokens = encoder.encode(images_BCHW, Seen(), options);
  if (!tokens.cls_B1D.defined()) throw std::invalid_argument("pooling is cls, but the encoder has no class token");
  return at_least_float(classifier.apply(tokens.cls_B1D.select(1, 0)));
}

}  // namespace flowrun::model
