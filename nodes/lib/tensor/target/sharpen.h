// Targets of methods that name images by prototypes. No graph knowledge.
#pragma once

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::target {

/// softmax((scores - center) / temperature) over the last axis, without gradient; float32, or float64 if the scores are. An
/// undefined center subtracts nothing.
Tensor sharpened(const Tensor& scores_nK, const Tensor& center_K, double temperature);

/// [K + 1], float64: the sum of the rows, and their number; without gradient. With image_n, the image of each of the n rows, the sum over
/// images of the mean of each image's rows, and the number of images that have rows.
Tensor sum_and_count(const Tensor& scores_nK, const Tensor& image_n, int64_t images);

}  // namespace flowrun::target
