#include "nodes/lib/tensor/model/center.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <stdexcept>

namespace flowrun::model {

Center::Center(int64_t width) {
  if (width < 1) throw std::invalid_argument("a center needs a width of at least 1");
  buffers_.add("center", at::zeros({width}, at::kFloat));
}

void Center::move(const Tensor& mean_K, double momentum, const Tensor& if_1) {
  const at::NoGradGuard no_grad;
  const Tensor& center = buffers_[0];
  const Tensor moved = center.mul(momentum).add_(mean_K.to(center.device(), center.scalar_type()), 1 - momentum);
  center.copy_(at::where(if_1.to(center.device()), moved, center));
}

}  // namespace flowrun::model
