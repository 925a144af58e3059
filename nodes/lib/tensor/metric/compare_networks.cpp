#include "nodes/lib/tensor/metric/compare_networks.h"

#include <ATen/ops/stack.h>
#include <cmath>

#include "nodes/lib/tensor/device/float32.h"

namespace flowrun::eval {

double linear_cka(const Tensor& a_ND, const Tensor& b_NE) {
  const auto centred = [](const Tensor& x) {
    const Tensor wide = x.to(at::kDouble);
    return wide.sub(wide.mean(0, /*keepdim=*/true));
  };
  const auto shared = [](const Tensor& x, const Tensor& y) { return x.t().matmul(y).square().sum().item<double>(); };
  const Float32 no_autocast;
  const Tensor a = centred(a_ND), b = centred(b_NE);
  const double own = std::sqrt(shared(a, a) * shared(b, b));
  return own > 0 ? shared(a, b) / own : 0;
}

Tensor agreement(const Tensor& student_nC, const Tensor& teacher_nC) {
  const Tensor student = at_least_float(student_nC).log_softmax(1), teacher = at_least_float(teacher_nC).log_softmax(1);
  const Tensor same = student.argmax(1).eq(teacher.argmax(1)).sum();
  const Tensor divergence = teacher.exp().mul(teacher.sub(student)).sum();
  return at::stack({same.to(at::kDouble), divergence.to(at::kDouble)});
}

}  // namespace flowrun::eval
