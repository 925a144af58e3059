#include "nodes/lib/tensor/loss/regression.h"

#include <ATen/core/Reduction.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cosine_similarity.h>
#include <ATen/ops/l1_loss.h>
#include <ATen/ops/smooth_l1_loss.h>
#include <ATen/ops/zeros.h>
#include <stdexcept>
#include <string>

#include "nodes/lib/tensor/device/float32.h"
#include "nodes/lib/tensor/kernels/kernels.h"

namespace flowrun::loss {
namespace {

/// [.., O] -> [.., parts, O / parts]
Tensor slices(const Tensor& x, int64_t parts) {
  if (parts < 1 || x.size(-1) % parts != 0) {
    throw std::invalid_argument("a prediction of " + std::to_string(x.size(-1)) + " values can't be split into " + std::to_string(parts) + " parts");
  }
  return x.unflatten(-1, {parts, x.size(-1) / parts});
}

Tensor reduced(const Tensor& p, const Tensor& t, const Options& options, at::Reduction::Reduction how) {
  switch (options.kind) {
    case Kind::mse:
      break;
    case Kind::l1:
      return at::l1_loss(p, t, how);
    case Kind::smooth_l1:
      return at::smooth_l1_loss(p, t, how, options.beta);
    case Kind::cosine: {
      const Tensor loss = at::cosine_similarity(slices(p, options.parts), slices(t, options.parts), -1).neg().add(1);
      return how == at::Reduction::Mean ? loss.mean() : loss;
    }
  }
  throw std::invalid_argument("unknown loss");
}

}  // namespace

Tensor value(const Tensor& prediction, const Tensor& target, const Options& options, Tensor* parts) {
  if (options.kind == Kind::mse) {
    const Tensor errors = kernels::squared_error(prediction, target, parts ? options.parts : 1).detach();
    const auto type = prediction.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    if (parts) *parts = errors.to(type);
    return kernels::with_squared_error_gradient(errors.mean().to(type), prediction, target);
  }
  if (parts) *parts = per_part(prediction, target, options);
  return reduced(at_least_float(prediction), at_least_float(target), options, at::Reduction::Mean);
}

Tensor per_part(const Tensor& prediction, const Tensor& target, const Options& options) {
  const at::NoGradGuard no_grad;
  if (options.kind == Kind::mse) {
    return kernels::squared_error(prediction, target, options.parts).to(prediction.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  }
  const Tensor each = reduced(at_least_float(prediction), at_least_float(target), options, at::Reduction::None);
  if (options.kind == Kind::cosine) return each.flatten(0, -2).mean(0);
  return slices(each, options.parts).flatten(0, -3).mean(at::IntArrayRef{0, 2});
}

Tensor mse_without_value(const Tensor& prediction, const Tensor& target) {
  return kernels::with_squared_error_gradient(
      at::zeros({}, prediction.options().dtype(prediction.scalar_type() == at::kDouble ? at::kDouble : at::kFloat)), prediction, target);
}

}  // namespace flowrun::loss
