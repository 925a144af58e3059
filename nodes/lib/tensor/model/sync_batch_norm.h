// Batch norm over the rows of all ranks (SyncBN).
#pragma once

#include "graph/contract/context.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun::model {

/// The measurements of a pass over all ranks, [C] each in the type of x: the mean, and the variance over n - 1.
struct Measured {
  Tensor mean, variance;
};

/// x [B, C] or [B, C, H, W] -> the same, normalised by the mean and the variance (over n) of each channel on all ranks, which make the
/// same call with as many rows; weight and bias [C], or undefined. Sums are float64, so that the result does not depend on how rows are shared out,
/// but for rounding. The backward pass is collective, too. Gradients of weight and bias are those of this rank's rows. Throws NodeError for fewer
/// than two values of a channel, and RankError.
Tensor sync_batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps, const RunInfo& run, Measured& measured);

}  // namespace flowrun::model
