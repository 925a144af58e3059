#include "nodes/lib/tensor/model/mlp_head.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/relu.h>
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "nodes/lib/tensor/device/weight_casts.h"
#include "nodes/lib/tensor/model/rows.h"

namespace flowrun::model {

MlpHead::MlpHead(MlpHeadConfig config) : Head("head"), config_(std::move(config)) {
  if (config_.in < 1 || (config_.layers.empty() && config_.prototypes == 0)) {
    throw std::invalid_argument("a head needs an input width, and layers or prototypes");
  }
  int64_t in = config_.in;
  if (config_.squeeze > 0) squeeze_ = add("squeeze", config_.squeeze, in, config_.bias), in = config_.squeeze;
  const int64_t stride = config_.norm == HeadNorm::none ? 2 : 3;  // places of the layers in DINO's nn.Sequential
  for (size_t i = 0; i < config_.layers.size(); ++i) {
    const int64_t out = config_.layers[i];
    const auto place = static_cast<int64_t>(i) * stride;
    const std::string name = "mlp." + std::to_string(place), norm = "mlp." + std::to_string(place + 1);
    const bool last = i + 1 == config_.layers.size();
    const bool batch = last ? config_.last_norm != LastNorm::none : config_.norm == HeadNorm::batch;
    const bool bias = config_.bias && !batch && (config_.last_bias || !last);
    Layer layer;
    layer.weight = add(name, out, in, bias);
    if (bias) layer.bias = layer.weight + 1;
    const bool affine = !last || config_.last_norm != LastNorm::batch_plain, shift = !last || config_.last_norm == LastNorm::batch;
    if (batch) layer.norm = norms_.add(norm, out, affine, 1, shift);
    if (config_.norm == HeadNorm::layer && !last) {
      layer.gain = parameters_.add(norm + ".weight", {out}, Init::ones);
      parameters_.add(norm + ".bias", {out}, Init::zeros);
    }
    layers_.push_back(layer);
    in = out;
  }
  if (config_.prototypes > 0) {
    prototypes_ = config_.init == HeadInit::dino ? parameters_.add("last_layer.weight_v", {config_.prototypes, in}, Init::linear)
                                                 : parameters_.add("last_layer.weight_v", {config_.prototypes, in}, Init::kaiming);
    if (config_.prototype_kind == Prototypes::weight_norm && config_.gain_trained)
      gain_ = parameters_.add("last_layer.weight_g", {config_.prototypes, 1}, Init::ones);
  }
}

void MlpHead::constrain() {
  if (config_.prototypes == 0 || config_.prototype_kind != Prototypes::unit) return;
  const at::NoGradGuard no_grad;
  Tensor prototypes = parameters_[prototypes_];
  prototypes.copy_(unit_rows(prototypes));
}

/// A linear layer; returns the index of its weight, which its bias follows.
size_t MlpHead::add(const std::string& name, int64_t out, int64_t in, bool bias) {
  const auto own = [&] {
    if (config_.init == HeadInit::normal) return parameters_.add_normal(name + ".weight", {out, in}, 1);
    if (config_.init == HeadInit::scaled) return parameters_.add_normal(name + ".weight", {out, in}, 1 / std::sqrt(static_cast<double>(in)));
    return parameters_.add(name + ".weight", {out, in}, config_.init == HeadInit::dino ? Init::linear : Init::kaiming);
  };
  const size_t weight = own();
  if (bias && config_.init != HeadInit::torch) parameters_.add(name + ".bias", {out}, Init::zeros);
  if (bias && config_.init == HeadInit::torch) parameters_.add_uniform(name + ".bias", {out}, 1 / std::sqrt(static_cast<double>(in)));
  return weight;
}

Tensor MlpHead::apply(const Tensor& x_nD, const NormPass& pass) const {
  Tensor x = config_.input_unit ? unit_rows(x_nD) : x_nD;
  if (squeeze_) x = at::linear(x, cast_weight(parameters_[*squeeze_]), config_.bias ? cast_weight(parameters_[*squeeze_ + 1]) : Tensor());
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    x = at::linear(x, cast_weight(parameters_[layer.weight]), layer.bias ? cast_weight(parameters_[*layer.bias]) : Tensor());
    if (layer.norm) x = norms_.apply(*layer.norm, x, pass);
    if (i + 1 == layers_.size() && !config_.last_activation) break;
    if (layer.gain) x = at::layer_norm(x, {config_.layers[i]}, parameters_[*layer.gain], parameters_[*layer.gain + 1], 1e-5);
    if (config_.activation == HeadActivation::none) continue;
    x = config_.activation == HeadActivation::gelu ? at::gelu(x) : at::relu(x);
  }
  if (config_.prototypes == 0) return x;
  Tensor weight = parameters_[prototypes_];
  if (config_.prototype_kind == Prototypes::weight_norm) weight = unit_rows(weight);
  if (gain_) weight = weight.mul(parameters_[*gain_]);
  return at::linear(unit_rows(x), weight);
}

std::optional<Cost> MlpHead::cost(const Pass&) const {
  Cost cost;
  auto in = static_cast<double>(config_.in);
  const auto layer = [&](int64_t width) {
    const auto out = static_cast<double>(width);
    cost.flops += 2 * in * out, cost.saved += 4 * (in + out);
    in = out;
  };
  if (config_.squeeze > 0) layer(config_.squeeze);
  for (const int64_t width : config_.layers) layer(width);
  if (config_.prototypes > 0) layer(config_.prototypes);
  return cost;
}

}  // namespace flowrun::model
