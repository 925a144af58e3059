#include "nodes/lib/tensor/loss/masked.h"

#include <ATen/ops/ones_like.h>

#include "nodes/lib/tensor/device/float32.h"

namespace flowrun::loss {
namespace {

constexpr double tiny = 1e-6;

/// Squared differences, the mean over `axis`: [B, X].
Tensor difference(const Tensor& student, const Tensor& teacher, int64_t axis) {
  return at_least_float(student).sub(at_least_float(teacher.detach())).square().mean(axis);
}

Tensor weighted(const Tensor& each_BX, const Tensor& mask_BMX) {
  return mask_BMX.mul(each_BX.unsqueeze(1)).sum(2).div(mask_BMX.sum(2).add(tiny)).mean();
}

}  // namespace

Tensor masked_places(const Tensor& student_BPC, const Tensor& teacher_BPC, const Tensor& mask_BMP) {
  return weighted(difference(student_BPC, teacher_BPC, 2), mask_BMP);
}

Tensor masked_channels(const Tensor& student_BPC, const Tensor& teacher_BPC, const Tensor& mask_BMC) {
  return weighted(difference(student_BPC, teacher_BPC, 1), mask_BMC);
}

Tensor overlap(const Tensor& mask_BMX) {
  const int64_t masks = mask_BMX.size(1);
  if (masks == 1) return mask_BMX.sum().mul(0);
  const Float32 precision;
  const Tensor products = mask_BMX.matmul(mask_BMX.transpose(1, 2)), own = products.diagonal(0, 1, 2);
  const Tensor dice = products.mul(2).div(own.unsqueeze(1).add(own.unsqueeze(2)).add(tiny));
  const Tensor pairs = at::ones_like(dice).triu(1).detach();
  return dice.mul(pairs).sum().div(static_cast<double>(mask_BMX.size(0) * masks * (masks - 1)) / 2);
}

}  // namespace flowrun::loss
