// Differences between a student's vectors and a teacher's, row by row. No graph knowledge.
#pragma once

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::loss {

/// Rows before they are compared: as they are, at length 1, or with mean 0 and variance 1 of each row.
enum class RowForm { plain, unit, standard };
/// The same rows; float32, or float64 if they are.
Tensor in_form(const Tensor& x_nD, RowForm form);

enum class RowDistance { mse, l1, smooth_l1 };
struct RowOptions {
  RowForm form = RowForm::plain;
  RowDistance distance = RowDistance::mse;
  double beta = 1;         ///< of smooth_l1: where it becomes linear
  bool sum_width = false;  ///< the sum over the width, and the mean over rows alone
};
/// A scalar; no gradient reaches the teacher. Throws std::invalid_argument, naming the numbers, for other rows or widths.
Tensor row_difference(const Tensor& student_nD, const Tensor& teacher_nD, const RowOptions& options);

}  // namespace flowrun::loss
