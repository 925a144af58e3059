// Counts of a tensor's values, for TensorBoard.
#pragma once

#include "io/run/tensorboard.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun::health {

/// The values in 30 buckets of the same width, as TensorBoard's own summary has them; one bucket where all are equal. They must be finite,
/// fewer than 2^24, and at least one.
io::Histogram histogram(const Tensor& values);

}  // namespace flowrun::health
