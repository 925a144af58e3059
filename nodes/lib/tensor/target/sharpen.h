// Targets of methods that name images by prototypes. No graph knowledge.
#pragma once

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::target {

/// softmax((scores - center) / temperature) over the last axis, without gradient; float32, or float64 if the scores are. An
/// undefined center subtracts nothing.
Tensor sharpened(const Tensor& scores_nK, const Tensor& center_K, double temperature);

}  // namespace flowrun::target
