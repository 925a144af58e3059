// Contrasts of a row with rows of a bank. No graph knowledge.
#pragma once

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::loss {

/// e^(v.m / temperature) of rows v [n, d] and the rows m of a bank [M, d] at drawn_nK [n, 1 + K] int64: [n, 1 + K]. Float32, or float64 if the
/// rows are. No gradient reaches the bank.
Tensor contrast_scores(const Tensor& rows_nd, const Tensor& bank_Md, const Tensor& drawn_nK, double temperature);

/// Contrastive representation distillation (Tian et al. 2020), one direction: with P = scores / normaliser, the positive in the first column,
/// and c = K / samples, minus the mean over rows of log(P_0 / (P_0 + c)) + the sum over K of log(c / (P_k + c)), with 1e-7 more in both
/// denominators, as in the published code. `normaliser` is a scalar tensor.
Tensor contrast(const Tensor& scores_nK, const Tensor& normaliser, int64_t samples);

}  // namespace flowrun::loss
