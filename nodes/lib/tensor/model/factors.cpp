#include "nodes/lib/tensor/model/factors.h"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/leaky_relu.h>
#include <stdexcept>
#include <string>
#include <utility>

#include "nodes/lib/tensor/device/weight_casts.h"
#include "nodes/lib/tensor/model/convolution.h"

namespace flowrun::model {
namespace {

constexpr double slope = 0.1;

}  // namespace

Factors::Factors(const FactorsConfig& config) : Module("factors"), config_(config) {
  if (config.in < 1 || config.out < 1) throw std::invalid_argument("factors need channels, and so do the maps that they are of");
  encoder_ = {add("encoder", 1, config.in, config.in), add("encoder", 2, config.in, config.out), add("encoder", 3, config.out, config.out)};
  if (!config.rebuilds) return;
  decoder_ = {add("decoder", 1, config.out, config.out), add("decoder", 2, config.out, config.in), add("decoder", 3, config.in, config.in)};
}

Factors::Layer Factors::add(const std::string& part, int64_t number, int64_t in, int64_t out) {
  const std::string place = part + ".", n = std::to_string(number);
  Layer layer{.weight = add_convolution(parameters_, place + "conv" + n, in, out, 3), .bias = {}, .norm = {}};
  if (config_.norm) {
    layer.norm = norms_.add(place + "bn" + n, out);
  } else {
    layer.bias = parameters_.add(place + "conv" + n + ".bias", {out}, Init::zeros);
  }
  return layer;
}

Tensor Factors::through(const std::vector<Layer>& layers, Tensor x, const NormPass& pass) const {
  for (const Layer& layer : layers) {
    x = at::conv2d(x, cast_weight(parameters_[layer.weight]), layer.bias ? cast_weight(parameters_[*layer.bias]) : Tensor(), {1, 1}, {1, 1});
    if (layer.norm) x = norms_.apply(*layer.norm, x, pass);
    x = at::leaky_relu(x, slope);
  }
  return x;
}

Tensor Factors::factors(const Tensor& map_BCHW, const NormPass& pass) const { return through(encoder_, map_BCHW, pass); }

Tensor Factors::rebuilt(const Tensor& map_BCHW, const NormPass& pass) const {
  if (!config_.rebuilds) throw std::invalid_argument("these factors have no way back to the maps");
  return through(decoder_, factors(map_BCHW, pass), pass);
}

Cost Factors::cost_of(double places, bool back) const {
  Cost cost;
  for (const std::vector<Layer>* layers : {&encoder_, back ? &decoder_ : nullptr}) {
    if (layers == nullptr) continue;
    for (const Layer& layer : *layers) {
      const Tensor& weight = parameters_[layer.weight];
      cost.flops += 2 * places * static_cast<double>(weight.numel());
      cost.saved += 4 * places * static_cast<double>(weight.size(0) + weight.size(1));
    }
  }
  return cost;
}

}  // namespace flowrun::model
