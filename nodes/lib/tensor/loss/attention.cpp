#include "nodes/lib/tensor/loss/attention.h"

#include <cmath>
#include <stdexcept>
#include <string>

#include "nodes/lib/tensor/device/float32.h"

namespace flowrun::loss {
namespace {

std::string count(const Tensor& x_BHSE, int64_t axis) { return std::to_string(x_BHSE.size(axis)); }

void require_fit(const Tensor& student, const Tensor& teacher, bool heads) {
  if (student.size(0) != teacher.size(0) || student.size(2) != teacher.size(2)) {
    throw std::invalid_argument("the student has " + count(student, 0) + " images of " + count(student, 2) + " tokens, the teacher " +
                                count(teacher, 0) + " of " + count(teacher, 2));
  }
  if (heads && student.size(1) != teacher.size(1)) {
    throw std::invalid_argument("the student has " + count(student, 1) + " heads, the teacher " + count(teacher, 1));
  }
}

/// All heads side by side, split into `heads`.
Tensor split(const Tensor& x_BHSE, int64_t heads) {
  if (heads == 0) return x_BHSE;
  const Tensor x_BSD = x_BHSE.transpose(1, 2).flatten(2);
  if (x_BSD.size(2) % heads != 0) throw std::invalid_argument(std::to_string(heads) + " heads don't divide a width of " + count(x_BSD, 2));
  return x_BSD.unflatten(2, {heads, -1}).transpose(1, 2);
}

Tensor scores(const Tensor& a_BHSE, const Tensor& b_BHSE) {
  return at_least_float(a_BHSE).matmul(at_least_float(b_BHSE).transpose(2, 3)).div(std::sqrt(static_cast<double>(a_BHSE.size(3))));
}

/// Of rows whose logarithms these are.
Tensor divergence(const Tensor& student, const Tensor& teacher) { return teacher.exp().mul(teacher.sub(student)).sum(-1).mean(); }

}  // namespace

Tensor relation(const Tensor& student_BHSE, const Tensor& teacher_BHSE, int64_t heads) {
  const Float32 precision;
  require_fit(student_BHSE, teacher_BHSE, heads == 0);
  const Tensor student = split(student_BHSE, heads), teacher = split(teacher_BHSE.detach(), heads);
  return divergence(scores(student, student).log_softmax(-1), scores(teacher, teacher).log_softmax(-1));
}

Tensor attention_scores(const Attention& student, const Attention& teacher, const ScoresOptions& options) {
  const Float32 precision;
  require_fit(student.query_BHSE, teacher.query_BHSE, !options.mean_of_heads);
  Tensor s = scores(student.query_BHSE, student.key_BHSE), t = scores(teacher.query_BHSE.detach(), teacher.key_BHSE.detach());
  if (options.divergence) {
    const auto log_rows = [&](const Tensor& x) { return options.mean_of_heads ? x.softmax(-1).mean(1).log() : x.log_softmax(-1); };
    return divergence(log_rows(s), log_rows(t));
  }
  if (options.mean_of_heads) s = s.mean(1), t = t.mean(1);
  return s.sub(t).square().mean();
}

}  // namespace flowrun::loss
