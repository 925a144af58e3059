// Losses between the relations that a student and a teacher see among the same rows. No graph knowledge.
#pragma once

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::loss {

// Rows are [n, D]; the widths of student and teacher may differ. Values are scalars, float32, or float64 if the student's rows are. No
// gradient reaches the teacher unless it is said. Throws std::invalid_argument, naming the numbers, for other counts of rows.

/// Similarity-preserving distillation (Tung and Mori 2019): products of all rows, rows of that matrix at length 1; mean squared difference.
Tensor similarity(const Tensor& student_nD, const Tensor& teacher_nD);

/// Probabilistic knowledge transfer (Passalis and Tefas 2018): cosines c as (c + 1) / 2, rows of that matrix divided by their sum; the mean
/// over all n² of t log((t + 1e-7) / (s + 1e-7)).
Tensor probabilistic_transfer(const Tensor& student_nD, const Tensor& teacher_nD);

/// Relational distillation (Park et al. 2019), distances: each network's distances divided by the mean of those above 0; smooth L1
/// (beta 1), the mean over all n².
Tensor relational_distance(const Tensor& student_nD, const Tensor& teacher_nD);

/// The same of angles: cosines between the directions from each row to all others; the mean over all n³, so memory is n³ numbers.
Tensor relational_angle(const Tensor& student_nD, const Tensor& teacher_nD);

/// Correlation congruence (Peng et al. 2019) as RepDistiller has it: with d = |s - t|, the mean over consecutive rows i of d_i . d_(i+1). Both sides
/// get gradients, and have one width.
Tensor correlation_congruence(const Tensor& student_nD, const Tensor& teacher_nD);

/// Gram anchoring (DINOv3): cosines between all tokens of an image; mean squared difference over images and pairs. Tokens are [B, N, D].
Tensor gram(const Tensor& student_BND, const Tensor& teacher_BND);

}  // namespace flowrun::loss
