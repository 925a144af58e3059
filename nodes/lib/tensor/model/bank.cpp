#include "nodes/lib/tensor/model/bank.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <cmath>
#include <stdexcept>

#include "graph/contract/rng.h"
#include "nodes/lib/tensor/model/rows.h"

namespace flowrun::model {
namespace {

Tensor random_rows(int64_t samples, int64_t width, uint64_t seed, const char* of) {
  Tensor out = at::empty({samples, width}, table_options(at::kFloat));
  if (out.is_meta()) return out;
  const double most = std::sqrt(3.0 / static_cast<double>(width));
  auto* value = out.mutable_data_ptr<float>();
  for (int64_t row = 0; row < samples; ++row) {
    Rng rng(seed, hash_text(of), 0, static_cast<uint64_t>(row));
    for (int64_t i = 0; i < width; ++i) *value++ = static_cast<float>(rng.uniform(-most, most));
  }
  return out;
}

}  // namespace

Bank::Bank(int64_t samples, int64_t width, uint64_t seed) {
  if (samples < 1 || width < 1) throw std::invalid_argument("a bank needs samples and a width");
  buffers_.add("student", random_rows(samples, width, seed, "bank of the student"));
  buffers_.add("teacher", random_rows(samples, width, seed, "bank of the teacher"));
  buffers_.add("normaliser", at::zeros({2}, table_options(at::kFloat)));
}

void Bank::move(const Rows& rows, double momentum) {
  const at::NoGradGuard no_grad;
  const auto moved = [&](const Tensor& table_Md, const Tensor& new_nd) {
    return unit_rows(table_Md.index_select(0, rows.ids_n).mul(momentum).add(new_nd, 1 - momentum));
  };
  write_rows(student_Md(), rows.ids_n, moved(student_Md(), rows.student_nd));
  write_rows(teacher_Md(), rows.ids_n, moved(teacher_Md(), rows.teacher_nd));
}

void Bank::normalise_by(const Tensor& normaliser_2) {
  const at::NoGradGuard no_grad;
  const Tensor& own = buffers_[2];
  own.copy_(at::where(own.gt(0), own, normaliser_2.to(own.device(), own.scalar_type())));
}

}  // namespace flowrun::model
