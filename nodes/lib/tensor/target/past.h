// Targets from what a network said before. No graph knowledge.
#pragma once

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::target {

/// (1 - share) x the label + share x past_nC, [n, C]; rows of zeros are unknown, and their target is the label alone. label_n int64, below C.
/// Without gradient.
Tensor with_past(const Tensor& past_nC, const Tensor& label_n, double share);

}  // namespace flowrun::target
