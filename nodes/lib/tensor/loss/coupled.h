// Losses over all pictures of a step: every picture meets every other. No graph knowledge.
#pragma once

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::loss {

// Rows are picture * views + view. Values are scalars, float32, or float64 if the rows are. Throws std::invalid_argument, naming the
// numbers, for rows that don't fit together and for another number of views than a loss takes.

/// SimCLR's NT-Xent of two views: rows of length 1; the other view of the picture is the answer among all other rows of both views. The
/// mean over the rows of a view, then the mean of both views.
Tensor nt_xent(const Tensor& z_nD, int64_t views, double temperature);

/// MoCo v3: rows q and k of length 1, k without gradient; a query's answer is the key of its picture's other view among that view's keys
/// of all pictures. The sum over the two sides of the mean over rows, times 2 x temperature.
Tensor key_contrast(const Tensor& q_nD, const Tensor& k_nD, int64_t views, double temperature);

/// Two towers (CLIP): the products of rows are logits, row i of each is the answer to row i of the other; the mean of both directions.
/// `smoothing`: the share of the target that all rows get alike (ALIGN).
Tensor pair_contrast(const Tensor& a_nD, const Tensor& b_nD, double smoothing = 0);
/// For rows of one tower that a temperature has scaled: throws unless they are equally long, to a part in a thousand.
void require_one_length(const Tensor& a_nD);

/// Barlow Twins of two views: columns standardised over the pictures (variance over n, eps 1e-5); C their correlation matrix; the sum of
/// (1 - C_ii)^2 plus `lambda` times the sum of the other C_ij^2.
Tensor barlow_twins(const Tensor& z_nD, int64_t views, double lambda);

/// VICReg: weights of the mean squared difference of two views; of the sum over views of half of the mean of relu(1 - std), std of
/// variance over n - 1 + 1e-4; and of the sum over views of the squared covariances of different columns, over D. With one view the first
/// part must weigh nothing.
struct VicregWeights {
  double invariance = 25, variance = 25, covariance = 1;
};
Tensor vicreg(const Tensor& z_nD, int64_t views, const VicregWeights& weights);

/// LeJEPA: (1 - `lambda`) x the mean squared difference of a view from its picture's mean, plus `lambda` x SIGReg: for each view and each
/// column of directions_DA the Epps-Pulley statistic of the projected rows against a standard normal distribution (17 points on [0, 3],
/// trapezoid, both halves), times the pictures; the mean of all.
Tensor lejepa(const Tensor& z_nD, int64_t views, const Tensor& directions_DA, double lambda);

/// MMCR: rows of length 1; minus the sum of the singular values of the matrix of the pictures' means over their views, plus `lambda` times the
/// mean over pictures of that of a picture's views.
Tensor mmcr(const Tensor& z_nD, int64_t views, double lambda);

}  // namespace flowrun::loss
