#include "nodes/lib/tensor/model/regressor.h"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/softplus.h>
#include <cmath>
#include <stdexcept>
#include <string>

#include "nodes/lib/tensor/device/weight_casts.h"

namespace flowrun::model {
namespace {

constexpr double least_variance = 1e-5, first_variance = 5;

}  // namespace

Regressor::Regressor(const RegressorConfig& config) : Module("regressor"), config_(config) {
  if (config.in < 1 || config.out < 1 || config.layers < 1) throw std::invalid_argument("a regressor needs channels and layers");
  const double deviation = std::sqrt(2.0 / static_cast<double>(config.out));
  for (int64_t i = 0; i < config.layers; ++i) {
    weights_.push_back(
        parameters_.add_normal("conv" + std::to_string(i + 1) + ".weight", {config.out, i == 0 ? config.in : config.out, 1, 1}, deviation));
  }
  const std::string last = std::to_string(config.layers);
  if (config.norm) {
    norm_ = norms_.add("bn" + last, config.out);
  } else {
    bias_ = parameters_.add("conv" + last + ".bias", {config.out}, Init::zeros);
  }
  if (config.variance) scale_ = parameters_.add_constant("scale", {config.out}, std::log(std::expm1(first_variance - least_variance)));
}

Tensor Regressor::apply(const Tensor& map_BCHW, const NormPass& pass) const {
  Tensor x = map_BCHW;
  for (size_t i = 0; i < weights_.size(); ++i) {
    if (i > 0) x = at::relu(x);
    const bool biased = bias_ && i + 1 == weights_.size();
    x = at::conv2d(x, cast_weight(parameters_[weights_[i]]), biased ? cast_weight(parameters_[*bias_]) : Tensor());
  }
  if (norm_) x = norms_.apply(*norm_, x, pass);
  return config_.relu ? at::relu(x) : x;
}

Tensor Regressor::variance_C() const { return scale_ ? at::softplus(parameters_[*scale_]).add(least_variance) : Tensor(); }

Cost Regressor::cost_of(double places) const {
  Cost cost;
  for (const size_t weight : weights_) {
    cost.flops += 2 * places * static_cast<double>(parameters_[weight].numel());
    cost.saved += 4 * places * static_cast<double>(parameters_[weight].size(0) + parameters_[weight].size(1));
  }
  return cost;
}

}  // namespace flowrun::model
