#include "nodes/lib/tensor/loss/relations.h"

#include <ATen/ops/eye.h>
#include <ATen/ops/smooth_l1_loss.h>
#include <stdexcept>
#include <string>
#include <utility>

#include "nodes/lib/tensor/device/float32.h"
#include "nodes/lib/tensor/model/rows.h"

namespace flowrun::loss {
namespace {

constexpr double epsilon = 1e-7;  // of the published code

void require_rows(const Tensor& student_nD, const Tensor& teacher_nD) {
  if (student_nD.size(0) != teacher_nD.size(0)) {
    throw std::invalid_argument("the student has " + std::to_string(student_nD.size(0)) + " rows, the teacher " + std::to_string(teacher_nD.size(0)));
  }
  if (student_nD.size(0) < 2) throw std::invalid_argument("relations need two rows at least");
}

/// Both at least float32, the teacher without gradient.
std::pair<Tensor, Tensor> rows(const Tensor& student_nD, const Tensor& teacher_nD) {
  require_rows(student_nD, teacher_nD);
  return {at_least_float(student_nD), at_least_float(teacher_nD.detach())};
}

Tensor products(const Tensor& x_nD) { return model::unit_rows(x_nD.matmul(x_nD.t())); }

Tensor shares(const Tensor& x_nD) {
  const Tensor unit = x_nD.div(x_nD.norm(2, {1}, /*keepdim=*/true).add(epsilon));
  const Tensor near = unit.matmul(unit.t()).add(1).div(2);
  return near.div(near.sum(1, /*keepdim=*/true));
}

/// Differences of all rows, [n, n, D].
Tensor differences(const Tensor& x_nD) { return x_nD.unsqueeze(0).sub(x_nD.unsqueeze(1)); }

/// A row's distance to itself is 0 and has no gradient.
Tensor distances(const Tensor& x_nD) {
  const Tensor itself = at::eye(x_nD.size(0), x_nD.options().dtype(at::kBool).requires_grad(false));
  const Tensor distance = differences(x_nD).square().sum(2).clamp_min(1e-12).sqrt().masked_fill(itself, 0);
  return distance.div(distance.sum().div(distance.gt(0).sum()));
}

/// Equal rows have no direction. The published code divides by 1e-12 there, with gradients of that scale.
Tensor angles(const Tensor& x_nD) {
  const Tensor difference = differences(x_nD), length = difference.norm(2, {2}, /*keepdim=*/true);
  const Tensor direction = difference.div(length.masked_fill(length.lt(1e-12), 1));
  return direction.matmul(direction.transpose(1, 2));
}

Tensor cosines(const Tensor& x_BND) {
  const Tensor unit = model::unit_rows(x_BND);
  return unit.matmul(unit.transpose(1, 2));
}

}  // namespace

Tensor similarity(const Tensor& student_nD, const Tensor& teacher_nD) {
  const auto [s, t] = rows(student_nD, teacher_nD);
  return products(s).sub(products(t)).square().mean();
}

Tensor probabilistic_transfer(const Tensor& student_nD, const Tensor& teacher_nD) {
  const auto [s, t] = rows(student_nD, teacher_nD);
  const Tensor of_teacher = shares(t);
  return of_teacher.mul(of_teacher.add(epsilon).div(shares(s).add(epsilon)).log()).mean();
}

Tensor relational_distance(const Tensor& student_nD, const Tensor& teacher_nD) {
  const auto [s, t] = rows(student_nD, teacher_nD);
  return at::smooth_l1_loss(distances(s), distances(t));
}

Tensor relational_angle(const Tensor& student_nD, const Tensor& teacher_nD) {
  const auto [s, t] = rows(student_nD, teacher_nD);
  return at::smooth_l1_loss(angles(s), angles(t));
}

Tensor correlation_congruence(const Tensor& student_nD, const Tensor& teacher_nD) {
  require_rows(student_nD, teacher_nD);
  const Tensor apart = at_least_float(student_nD).sub(at_least_float(teacher_nD)).abs();
  const int64_t pairs = apart.size(0) - 1;
  return apart.narrow(0, 0, pairs).mul(apart.narrow(0, 1, pairs)).sum(1).mean();
}

Tensor gram(const Tensor& student_BND, const Tensor& teacher_BND) {
  if (student_BND.size(0) != teacher_BND.size(0) || student_BND.size(1) != teacher_BND.size(1)) {
    throw std::invalid_argument("the student has " + std::to_string(student_BND.size(0)) + " images of " + std::to_string(student_BND.size(1)) +
                                " tokens, the teacher " + std::to_string(teacher_BND.size(0)) + " of " + std::to_string(teacher_BND.size(1)));
  }
  return cosines(at_least_float(student_BND)).sub(cosines(at_least_float(teacher_BND.detach()))).square().mean();
}

}  // namespace flowrun::loss
