#include "nodes/lib/tensor/target/sharpen.h"

#include <ATen/core/grad_mode.h>

namespace flowrun::target {

Tensor sharpened(const Tensor& scores_nK, const Tensor& center_K, double temperature) {
  const at::NoGradGuard no_grad;
  const Tensor wide = scores_nK.scalar_type() == at::kDouble ? scores_nK : scores_nK.to(at::kFloat);
  const Tensor centred = center_K.defined() ? wide.sub(center_K) : wide;
  return centred.div(temperature).softmax(-1);
}

}  // namespace flowrun::target
