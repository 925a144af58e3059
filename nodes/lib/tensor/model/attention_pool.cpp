#include "nodes/lib/tensor/model/attention_pool.h"

#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <stdexcept>
#include <string>

#include "nodes/lib/tensor/device/weight_casts.h"
#include "nodes/lib/tensor/kernels/kernels.h"

namespace flowrun::model {
namespace {

/// The weighted sums of some rows of x [B, N, D]: [B, S, D].
Tensor summed(const Tensor& x_BND, const Tensor& places_BSP, const Tensor& weights_BSP) {
  const int64_t images = places_BSP.size(0), places = places_BSP.size(1), each = places_BSP.size(2), width = x_BND.size(2);
  const Tensor index = places_BSP.reshape({images, places * each, 1}).expand({images, places * each, width});
  const Tensor rows = x_BND.gather(1, index).view({images, places, each, width});
  return weights_BSP.defined() ? rows.mul(weights_BSP.to(rows.scalar_type()).unsqueeze(-1)).sum(2) : rows.select(2, 0);
}

}  // namespace

AttentionPool::AttentionPool(const AttentionPoolConfig& config) : Module("attention pool"), config_(config) {
  if (config.heads < 1 || config.width % config.heads != 0) {
    throw std::invalid_argument(std::to_string(config.heads) + " heads don't divide a width of " + std::to_string(config.width));
  }
  const int64_t width = config.width;
  qkv_ = parameters_.add("qkv.weight", {3 * width, width}, Init::linear);
  parameters_.add("qkv.bias", {3 * width}, Init::zeros);
  proj_ = parameters_.add("proj.weight", {width, width}, Init::linear);
  parameters_.add("proj.bias", {width}, Init::zeros);
  norm_ = parameters_.add("norm.weight", {width}, Init::ones);
  parameters_.add("norm.bias", {width}, Init::zeros);
}

Tensor AttentionPool::apply(const Tensor& patch_BND, const Tensor& places_BSP, const Tensor& weights_BSP) const {
  const auto linear = [&](const Tensor& x, size_t weight) {
    return at::linear(x, cast_weight(parameters_[weight]), cast_weight(parameters_[weight + 1]));
  };
  const std::vector<Tensor> qkv = linear(patch_BND, qkv_).chunk(3, -1);
  const auto to_heads = [&](const Tensor& x_BSD) { return kernels::to_heads(x_BSD, config_.heads); };
  const Tensor out = kernels::attention(to_heads(summed(qkv[0], places_BSP, weights_BSP)), to_heads(qkv[1]), to_heads(qkv[2]));
  const Tensor sum = linear(out, proj_).add(summed(patch_BND, places_BSP, weights_BSP));
  const Tensor &gain = parameters_[norm_], &shift = parameters_[norm_ + 1];
  return at::layer_norm(sum.to(gain.scalar_type()), {config_.width}, gain, shift, config_.norm_eps);
}

Cost AttentionPool::cost_of(double patches, double rows) const {
  const auto width = static_cast<double>(config_.width);
  return {.flops = 6 * patches * width * width + 4 * rows * patches * width + 2 * rows * width * width,
          .saved = 4 * (4 * patches * width + 4 * rows * width)};
}

}  // namespace flowrun::model
