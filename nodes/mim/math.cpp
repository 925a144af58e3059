#include "nodes/mim/math.h"

#include <ATen/core/Reduction.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/mse_loss_backward.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/var_mean.h>
#include <stdexcept>
#include <string>

#include "nodes/model/rows.h"

namespace flowrun::mim {
namespace {

Tensor at_least_float(const Tensor& x) { return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat); }

}  // namespace

Tensor z_score(const Tensor& x, const ZScore& options) {
  const Tensor wide = at_least_float(x);
  if (!options.unbiased) return at::layer_norm(wide, {wide.size(-1)}, {}, {}, options.eps);
  const auto [variance, mean] = at::var_mean(wide, at::OptionalIntArrayRef{-1}, /*unbiased=*/true, /*keepdim=*/true);
  return wide.sub(mean).mul(variance.add(options.eps).rsqrt());
}

Tensor hidden_targets(const std::vector<Tensor>& taps_BND, const Tensor& targets_BRM, const ZScore& options) {
  if (taps_BND.empty()) throw std::invalid_argument("no hidden block to make targets of");
  const at::NoGradGuard no_grad;
  std::vector<Tensor> rows;
  // Gathering first is cheaper than standardising whole images, and gives the same.
  for (const Tensor& tap_BND : taps_BND) rows.push_back(model::gather_rows(tap_BND, targets_BRM));
  return z_score(at::stack(rows, -2), options).flatten(-2);
}

Tensor mse(const Tensor& prediction, const Tensor& target) { return at::mse_loss(at_least_float(prediction), at_least_float(target)); }

Tensor mse_gradient(const Tensor& prediction, const Tensor& target, double weight) {
  const at::NoGradGuard no_grad;
  const Tensor wide = at_least_float(prediction);
  const Tensor scale = at::scalar_tensor(weight, wide.options());
  return at::mse_loss_backward(scale, wide, at_least_float(target), at::Reduction::Mean).to(prediction.scalar_type());
}

Tensor mse_per_tap(const Tensor& prediction, const Tensor& target, int64_t taps) {
  if (taps < 1 || prediction.size(-1) % taps != 0) {
    throw std::invalid_argument("a prediction of " + std::to_string(prediction.size(-1)) + " values cannot be split into " + std::to_string(taps) +
                                " taps");
  }
  const at::NoGradGuard no_grad;
  const Tensor difference = at_least_float(prediction).sub(at_least_float(target));
  return difference.square().view({-1, taps, prediction.size(-1) / taps}).mean(at::IntArrayRef{0, 2});
}

}  // namespace flowrun::mim
