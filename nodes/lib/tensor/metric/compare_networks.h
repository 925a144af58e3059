// How alike two networks are. Float64 where it matters; no graph knowledge.
#pragma once

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::eval {

/// Linear centred kernel alignment (Kornblith et al. 2019) of the rows of the same N pictures, [N, D] and [N, E]: 1 where one is a turn and a
/// scale of the other. 0 where either does not vary.
double linear_cka(const Tensor& a_ND, const Tensor& b_NE);

/// Sums over pictures of a group, [2] float64: how often both name the same class, and KL(teacher, student). Scores are [n, C].
Tensor agreement(const Tensor& student_nC, const Tensor& teacher_nC);

}  // namespace flowrun::eval
