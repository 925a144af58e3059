#include "nodes/model/transformer.h"

#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <cmath>
#include <stdexcept>

namespace flowrun::model {
namespace {

/// Places of a block's parameters after its first one, in the order they are added.
enum Place : size_t {
  kNorm1Weight,
  kNorm1Bias,
  kQkvWeight,
  kQkvBias,
  kProjWeight,
  kProjBias,
  kNorm2Weight,
  kNorm2Bias,
  kFc1Weight,
  kFc1Bias,
  kFc2Weight,
  kFc2Bias,
  kPlaces
};

void add_block(Parameters& parameters, int64_t block, int64_t width, int64_t hidden) {
  const std::string prefix = "blocks." + std::to_string(block) + ".";
  const int number = static_cast<int>(block) + 1;
  parameters.add(prefix + "norm1.weight", {width}, Init::ones);
  parameters.add(prefix + "norm1.bias", {width}, Init::zeros);
  parameters.add(prefix + "attn.qkv.weight", {3 * width, width}, Init::linear);
  parameters.add(prefix + "attn.qkv.bias", {3 * width}, Init::zeros);
  parameters.add(prefix + "attn.proj.weight", {width, width}, Init::residual, number);
  parameters.add(prefix + "attn.proj.bias", {width}, Init::zeros);
  parameters.add(prefix + "norm2.weight", {width}, Init::ones);
  parameters.add(prefix + "norm2.bias", {width}, Init::zeros);
  parameters.add(prefix + "mlp.fc1.weight", {hidden, width}, Init::linear);
  parameters.add(prefix + "mlp.fc1.bias", {hidden}, Init::zeros);
  parameters.add(prefix + "mlp.fc2.weight", {width, hidden}, Init::residual, number);
  parameters.add(prefix + "mlp.fc2.bias", {width}, Init::zeros);
}

/// [B, S, D] -> [B, H, S, E], a view.
Tensor to_heads(const Tensor& x_BSD, int64_t heads) { return x_BSD.unflatten(-1, {heads, x_BSD.size(-1) / heads}).transpose(1, 2); }

}  // namespace

Blocks::Blocks(Parameters& parameters, int64_t depth, int64_t width, int64_t heads, double mlp_ratio, double norm_eps)
    : depth_(depth), width_(width), heads_(heads), norm_eps_(norm_eps), first_(parameters.size()) {
  const auto hidden = static_cast<int64_t>(std::llround(static_cast<double>(width) * mlp_ratio));
  if (depth < 1 || width < 1 || hidden < 1) {
    throw std::invalid_argument("depth " + std::to_string(depth) + ", width " + std::to_string(width) + " and MLP width " + std::to_string(hidden) +
                                " must be positive");
  }
  if (heads < 1 || width % heads != 0) {
    throw std::invalid_argument(std::to_string(heads) + " heads do not divide the width " + std::to_string(width));
  }
  for (int64_t block = 0; block < depth; ++block) add_block(parameters, block, width, hidden);
}

Tensor Blocks::attend(const Parameters& p, size_t first, const Tensor& x_BSD, int64_t rows) const {
  const int64_t skipped = x_BSD.size(1) - rows;
  const Tensor n_BSD = at::layer_norm(x_BSD, {width_}, p[first + kNorm1Weight], p[first + kNorm1Bias], norm_eps_);
  const Tensor &weight = p[first + kQkvWeight], &bias = p[first + kQkvBias];
  Tensor query, key, value;
  if (skipped == 0) {
    // Splitting the last axis, not unbinding a fifth: the backward pass then writes the three gradients side by side
    // in one copy.
    const auto parts = at::linear(n_BSD, weight, bias).chunk(3, -1);
    query = parts[0], key = parts[1], value = parts[2];
  } else {
    query = at::linear(n_BSD.narrow(1, skipped, rows), weight.narrow(0, 0, width_), bias.narrow(0, 0, width_));
    const auto parts = at::linear(n_BSD, weight.narrow(0, width_, 2 * width_), bias.narrow(0, width_, 2 * width_)).chunk(2, -1);
    key = parts[0], value = parts[1];
  }
  const Tensor out_BHSE = at::scaled_dot_product_attention(to_heads(query, heads_), to_heads(key, heads_), to_heads(value, heads_));
  return at::linear(out_BHSE.transpose(1, 2).flatten(2), p[first + kProjWeight], p[first + kProjBias]);
}

Tensor Blocks::feed_forward(const Parameters& p, size_t first, const Tensor& x_BSD) const {
  const Tensor n_BSD = at::layer_norm(x_BSD, {width_}, p[first + kNorm2Weight], p[first + kNorm2Bias], norm_eps_);
  const Tensor hidden = at::gelu(at::linear(n_BSD, p[first + kFc1Weight], p[first + kFc1Bias]));
  return at::linear(hidden, p[first + kFc2Weight], p[first + kFc2Bias]);
}

Tensor Blocks::run(const Parameters& parameters, int64_t block, const Tensor& x_BSD) const {
  return run_last_rows(parameters, block, x_BSD, x_BSD.size(1));
}

Tensor Blocks::run_last_rows(const Parameters& parameters, int64_t block, const Tensor& x_BSD, int64_t rows) const {
  const size_t first = first_ + static_cast<size_t>(block) * kPlaces;
  const Tensor residual_BSD = x_BSD.narrow(1, x_BSD.size(1) - rows, rows);
  const Tensor middle_BSD = residual_BSD.add(attend(parameters, first, x_BSD, rows));
  return middle_BSD.add(feed_forward(parameters, first, middle_BSD));
}

}  // namespace flowrun::model
