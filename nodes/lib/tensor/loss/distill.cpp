#include "nodes/lib/tensor/loss/distill.h"

#include <ATen/ops/logsumexp.h>
#include <ATen/ops/zeros_like.h>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "nodes/lib/tensor/device/float32.h"

namespace flowrun::loss {
namespace {

void require_equal(const Tensor& student, const Tensor& teacher) {
  if (student.sizes() == teacher.sizes()) return;
  throw std::invalid_argument("the student has " + std::to_string(student.size(0)) + " rows of " + std::to_string(student.size(1)) +
                              " scores, the teacher " + std::to_string(teacher.size(0)) + " of " + std::to_string(teacher.size(1)));
}

Tensor log_at_least_tiny(const Tensor& p) {
  return p.clamp_min(p.scalar_type() == at::kDouble ? std::numeric_limits<double>::min() : std::numeric_limits<float>::min()).log();
}

/// The log-probabilities of (label, all others), each [n], of scores whose label is `is_label`.
struct LabelAndRest {
  Tensor label_n, rest_n;
};
LabelAndRest label_and_rest(const Tensor& scores_nC, const Tensor& is_label) {
  const Tensor all = at::logsumexp(scores_nC, {1});
  return {scores_nC.masked_fill(is_label.logical_not(), 0).sum(1).sub(all), at::logsumexp(scores_nC.masked_fill(is_label, -INFINITY), {1}).sub(all)};
}

/// Log-probabilities of the classes without the label among themselves; 0 at the label.
Tensor without_label(const Tensor& scores_nC, const Tensor& is_label) {
  return scores_nC.masked_fill(is_label, -INFINITY).log_softmax(1).masked_fill(is_label, 0);
}

}  // namespace

TeacherClasses softened(const Tensor& scores_nC, double temperature) {
  const Tensor log_p = at_least_float(scores_nC.detach()).div(temperature).log_softmax(1);
  return {log_p.exp(), log_p};
}

TeacherClasses given(const Tensor& probabilities_nC) {
  const Tensor p = at_least_float(probabilities_nC.detach());
  return {p, log_at_least_tiny(p)};
}

Tensor kl(const Tensor& student_nC, const TeacherClasses& teacher, const KlOptions& options, const Tensor& weight_n) {
  require_equal(student_nC, teacher.p_nC);
  const Tensor log_p = at_least_float(student_nC).div(options.temperature).log_softmax(1), &q = teacher.p_nC, &log_q = teacher.log_p_nC;
  Tensor each;
  if (options.divergence == Divergence::forward) {
    each = q.mul(log_q.sub(log_p));
  } else if (options.divergence == Divergence::reverse) {
    each = log_p.exp().mul(log_p.sub(log_q));
  } else {
    const Tensor p = log_p.exp(), log_m = log_at_least_tiny(p.add(q).div(2));
    each = q.mul(log_q.sub(log_m)).add(p.mul(log_p.sub(log_m))).div(2);
  }
  Tensor each_n = options.over_elements ? each.mean(1) : each.sum(1);
  if (weight_n.defined()) each_n = each_n.mul(weight_n);
  return each_n.mean().mul(options.temperature * options.temperature);
}

Tensor dkd(const Tensor& student_nC, const Tensor& teacher_nC, const Tensor& label_n, const DkdOptions& options) {
  require_equal(student_nC, teacher_nC);
  if (label_n.size(0) != student_nC.size(0)) {
    throw std::invalid_argument("there are " + std::to_string(student_nC.size(0)) + " rows of scores, but " + std::to_string(label_n.size(0)) +
                                " labels");
  }
  const Tensor student = at_least_float(student_nC).div(options.temperature), teacher = at_least_float(teacher_nC.detach()).div(options.temperature);
  const Tensor is_label = at::zeros_like(student, student.options().dtype(at::kBool).requires_grad(false)).scatter(1, label_n.unsqueeze(1), 1);
  const LabelAndRest p = label_and_rest(student, is_label), q = label_and_rest(teacher, is_label);
  const Tensor of_label = q.label_n.exp().mul(q.label_n.sub(p.label_n)).add(q.rest_n.exp().mul(q.rest_n.sub(p.rest_n)));
  const Tensor log_p = without_label(student, is_label), log_q = without_label(teacher, is_label);
  const Tensor of_others = log_q.exp().mul(log_q.sub(log_p)).sum(1);
  return of_label.mul(options.alpha).add(of_others.mul(options.beta)).mean().mul(options.temperature * options.temperature);
}

Tensor squared_scores(const Tensor& student_nC, const Tensor& teacher_nC, bool probabilities) {
  require_equal(student_nC, teacher_nC);
  const auto taken = [&](const Tensor& scores) { return probabilities ? at_least_float(scores).softmax(1) : at_least_float(scores); };
  return taken(student_nC).sub(taken(teacher_nC.detach())).square().mean();
}

}  // namespace flowrun::loss
