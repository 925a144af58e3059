#include "nodes/lib/tensor/loss/rows.h"

#include <ATen/core/Reduction.h>
#include <ATen/ops/smooth_l1_loss.h>
#include <stdexcept>
#include <string>

#include "nodes/lib/tensor/device/float32.h"
#include "nodes/lib/tensor/model/rows.h"

namespace flowrun::loss {
namespace {

Tensor each(const Tensor& student, const Tensor& teacher, const RowOptions& options) {
  if (options.distance == RowDistance::smooth_l1) return at::smooth_l1_loss(student, teacher, at::Reduction::None, options.beta);
  const Tensor difference = student.sub(teacher);
  return options.distance == RowDistance::l1 ? difference.abs() : difference.square();
}

}  // namespace

Tensor in_form(const Tensor& x_nD, RowForm form) {
  Tensor x = at_least_float(x_nD);
  if (form == RowForm::unit) return model::unit_rows(x);
  if (form == RowForm::plain) return x;
  const Tensor centred = x.sub(x.mean(-1, /*keepdim=*/true));
  return centred.div(centred.square().mean(-1, /*keepdim=*/true).add(1e-5).sqrt());
}

Tensor row_difference(const Tensor& student_nD, const Tensor& teacher_nD, const RowOptions& options) {
  if (student_nD.sizes() != teacher_nD.sizes()) {
    throw std::invalid_argument("the student has " + std::to_string(student_nD.size(0)) + " rows of width " + std::to_string(student_nD.size(1)) +
                                ", the teacher " + std::to_string(teacher_nD.size(0)) + " of " + std::to_string(teacher_nD.size(1)));
  }
  const Tensor all = each(in_form(student_nD, options.form), in_form(teacher_nD.detach(), options.form), options);
  return options.sum_width ? all.sum(1).mean() : all.mean();
}

}  // namespace flowrun::loss
