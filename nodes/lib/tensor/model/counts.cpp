#include "nodes/lib/tensor/model/counts.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/where.h>
#include <stdexcept>

namespace flowrun::model {

Counts::Counts(int64_t classes) {
  if (classes < 1) throw std::invalid_argument("counts need at least one class");
  buffers_.add("shares", at::full({classes}, 1 / static_cast<double>(classes), at::kFloat));
}

void Counts::move(const Tensor& counts_K, double decay) {
  const at::NoGradGuard no_grad;
  const Tensor& shares = buffers_[0];
  const Tensor all = counts_K.sum();
  const Tensor found = counts_K.div(all.clamp_min(1)).to(shares.device(), shares.scalar_type());
  shares.copy_(at::where(all.gt(0).to(shares.device()), shares.mul(decay).add(found, 1 - decay), shares));
}

}  // namespace flowrun::model
