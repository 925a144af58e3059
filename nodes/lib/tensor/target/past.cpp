#include "nodes/lib/tensor/target/past.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

namespace flowrun::target {

Tensor with_past(const Tensor& past_nC, const Tensor& label_n, double share) {
  const at::NoGradGuard no_grad;
  const Tensor label_nC = at::zeros_like(past_nC).scatter(1, label_n.unsqueeze(1), 1);
  const Tensor known_n1 = past_nC.sum(1, /*keepdim=*/true).gt(0);
  return at::where(known_n1, label_nC.mul(1 - share).add(past_nC, share), label_nC);
}

}  // namespace flowrun::target
