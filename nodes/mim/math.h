// Targets and loss of masked image modelling in hidden space (Bootleg paper, targets and objective). No graph
// knowledge.
#pragma once

#include <vector>

#include "nodes/tensor.h"

namespace flowrun::mim {

struct ZScore {
  double eps = 1e-5;      ///< added to the variance; I-JEPA's, as layer_norm's default
  bool unbiased = false;  ///< divide by D - 1 (MAE) instead of D
};

/// (x - mean) / sqrt(var + eps) over the last axis; float32, or float64 if x is.
Tensor z_score(const Tensor& x, const ZScore& options = {});

/// Targets of the predictor: each tap (a hidden block's [B, N, D]) at the target patches, standardised token by token,
/// joined along the last axis in the order given. targets_BRM int64 -> [B, R, M, O], without gradient.
Tensor hidden_targets(const std::vector<Tensor>& taps_BND, const Tensor& targets_BRM, const ZScore& options = {});

/// Mean over all elements of (prediction - target)^2, a scalar; float32, or float64 if the inputs are.
Tensor mse(const Tensor& prediction, const Tensor& target);

/// weight * d mse / d prediction, bit for bit what the backward pass of weight * mse() hands on. A step that does not
/// report its loss passes this to prediction.backward() and never computes the loss.
Tensor mse_gradient(const Tensor& prediction, const Tensor& target, double weight = 1.0);

/// The mean squared error of each tap's slice of the last axis, [T], on the inputs' device, without gradient.
Tensor mse_per_tap(const Tensor& prediction, const Tensor& target, int64_t taps);

}  // namespace flowrun::mim
