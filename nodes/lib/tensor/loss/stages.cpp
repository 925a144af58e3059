#include "nodes/lib/tensor/loss/stages.h"

#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/where.h>
#include <stdexcept>
#include <string>
#include <utility>

#include "nodes/lib/tensor/device/float32.h"
#include "nodes/lib/tensor/model/rows.h"

namespace flowrun::loss {
namespace {

using Pair = std::pair<Tensor, Tensor>;

std::string size_text(const Tensor& map) { return std::to_string(map.size(2)) + "x" + std::to_string(map.size(3)); }

/// Both at the smaller one's size.
Pair at_one_size(const Tensor& a, const Tensor& b) {
  if (a.size(0) != b.size(0)) {
    throw std::invalid_argument("there are maps of " + std::to_string(a.size(0)) + " images and of " + std::to_string(b.size(0)));
  }
  if (a.sizes().slice(2) == b.sizes().slice(2)) return {a, b};
  const bool a_holds_b = a.size(2) >= b.size(2) && a.size(3) >= b.size(3), b_holds_a = b.size(2) >= a.size(2) && b.size(3) >= a.size(3);
  if (a_holds_b) return {at::adaptive_avg_pool2d(a, b.sizes().slice(2)), b};
  if (b_holds_a) return {a, at::adaptive_avg_pool2d(b, a.sizes().slice(2))};
  throw std::invalid_argument("maps of " + size_text(a) + " and " + size_text(b) + " don't fit: one is higher, the other wider");
}

Pair fitted(const Tensor& student, const Tensor& teacher) { return at_one_size(at_least_float(student), at_least_float(teacher.detach())); }

void require_channels(const Tensor& student, const Tensor& teacher) {
  if (student.size(1) == teacher.size(1)) return;
  throw std::invalid_argument("the student's map has " + std::to_string(student.size(1)) + " channels, the teacher's " +
                              std::to_string(teacher.size(1)) + ": channel is compared with channel");
}

Tensor attention(const Tensor& map_BCHW) { return model::unit_rows(map_BCHW.square().mean(1).flatten(1)); }

/// Mean over images and over pairs of channels of the squared products.
Tensor kernel_mean(const Tensor& a_BCN, const Tensor& b_BCN) { return a_BCN.matmul(b_BCN.transpose(1, 2)).square().mean(); }

/// [B, channels of low, channels of high].
Tensor flow(const Tensor& low, const Tensor& high) {
  const auto [a, b] = at_one_size(at_least_float(low), at_least_float(high));
  return a.flatten(2).matmul(b.flatten(2).transpose(1, 2)).div(static_cast<double>(a.size(2) * a.size(3)));
}

}  // namespace

Tensor attention_map(const Tensor& student_BCHW, const Tensor& teacher_BCHW, Distance distance) {
  const auto [s, t] = fitted(student_BCHW, teacher_BCHW);
  const Tensor difference = attention(s).sub(attention(t));
  return (distance == Distance::absolute ? difference.abs() : difference.square()).mean();
}

Tensor activation_boundaries(const Tensor& student_BCHW, const Tensor& teacher_BCHW, double margin) {
  require_channels(student_BCHW, teacher_BCHW);
  const auto [s, t] = fitted(student_BCHW, teacher_BCHW);
  const Tensor on_its_side = at::where(t.gt(0), s, s.neg());
  return at::relu(on_its_side.neg().add(margin)).square().sum().div(static_cast<double>(s.size(0)));
}

Tensor activation_boundaries(const std::vector<Tensor>& student, const std::vector<Tensor>& teacher, double margin) {
  Tensor sum = activation_boundaries(student[0], teacher[0], margin);
  for (size_t i = 1; i < student.size(); ++i) sum = sum.div(2).add(activation_boundaries(student[i], teacher[i], margin));
  return sum;
}

Tensor neuron_selectivity(const Tensor& student_BCHW, const Tensor& teacher_BCHW) {
  const auto [s, t] = fitted(student_BCHW, teacher_BCHW);
  const Tensor x = model::unit_rows(s.flatten(2)), y = model::unit_rows(t.flatten(2));
  return kernel_mean(y, y).add(kernel_mean(x, x)).sub(kernel_mean(x, y).mul(2));
}

Tensor hint(const Tensor& student_BCHW, const Tensor& teacher_BCHW) {
  require_channels(student_BCHW, teacher_BCHW);
  const auto [s, t] = fitted(student_BCHW, teacher_BCHW);
  return s.sub(t).square().mean();
}

Tensor variational_information(const Tensor& student_BCHW, const Tensor& teacher_BCHW, const Tensor& variance_C) {
  require_channels(student_BCHW, teacher_BCHW);
  const auto [s, t] = fitted(student_BCHW, teacher_BCHW);
  const Tensor variance = variance_C.reshape({1, -1, 1, 1});
  return s.sub(t).square().div(variance).add(variance.log()).mean().div(2);
}

Tensor solution_flow(const StagePair& student, const StagePair& teacher) {
  require_channels(student.low_BCHW, teacher.low_BCHW);
  require_channels(student.high_BCHW, teacher.high_BCHW);
  if (student.low_BCHW.size(0) != teacher.low_BCHW.size(0)) {
    throw std::invalid_argument("there are maps of " + std::to_string(student.low_BCHW.size(0)) + " images and of " +
                                std::to_string(teacher.low_BCHW.size(0)));
  }
  return flow(student.low_BCHW, student.high_BCHW).sub(flow(teacher.low_BCHW.detach(), teacher.high_BCHW.detach())).square().mean();
}

}  // namespace flowrun::loss
