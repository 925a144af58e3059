// Losses between the class scores of a student and of a teacher. No graph knowledge.
#pragma once

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::loss {

// Scores are [n, C]. Values are scalars, float32, or float64 if the student's scores are. No gradient reaches a teacher. Throws
// std::invalid_argument, naming the numbers, for shapes that differ.

/// Probabilities of classes with their logarithms, [n, C] each, without gradient.
struct TeacherClasses {
  Tensor p_nC, log_p_nC;
};
/// Softmax of a teacher's scores over `temperature`.
TeacherClasses softened(const Tensor& scores_nC, double temperature);
/// Rows that sum to 1 already; the logarithm of 0 is taken of the type's smallest normal number.
TeacherClasses given(const Tensor& probabilities_nC);

/// The divergence between the teacher's classes q and the student's p, the softmax of its scores over a temperature.
///   forward  KL(q, p) = sum q (log q - log p): Hinton et al. 2015
///   reverse  KL(p, q)
///   js       half of KL(q, m) + KL(p, m), m = (p + q) / 2
enum class Divergence { forward, reverse, js };

struct KlOptions {
  double temperature = 4;  ///< T of the student; the value is multiplied by T²
  Divergence divergence = Divergence::forward;
  bool over_elements = false;  ///< the mean over rows and classes, not over rows alone: 1 / C of it
};
/// Mean over the rows, times weight_n [n] where it is defined.
Tensor kl(const Tensor& student_nC, const TeacherClasses& teacher, const KlOptions& options, const Tensor& weight_n = {});

/// Decoupled knowledge distillation (Zhao et al. 2022), mean over the rows, times T²: `alpha` x the divergence of (p_y, 1 - p_y) plus
/// `beta` x that of the classes without the label y, among themselves. label_n int64.
struct DkdOptions {
  double alpha = 1, beta = 8, temperature = 4;
};
Tensor dkd(const Tensor& student_nC, const Tensor& teacher_nC, const Tensor& label_n, const DkdOptions& options);

/// Mean squared difference of the scores (Ba and Caruana 2014), or of their softmax (Bucila et al. 2006), over all elements.
Tensor squared_scores(const Tensor& student_nC, const Tensor& teacher_nC, bool probabilities);

}  // namespace flowrun::loss
