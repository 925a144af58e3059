// Cross-entropy between scores and labels. No graph knowledge.
#pragma once

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::loss {

/// Mean over the images of -sum_c y_c log softmax(scores)_c, times `weight_B` [B] where it is defined, a scalar; float32, or float64 if the scores
/// are. `labels` are classes [B] int64, smoothed as torch.nn.CrossEntropyLoss does it (share `smoothing` spread evenly over all classes), or
/// probabilities [B, C] (then smoothing is not applied again and must be 0). Without rows, as where masks hide nothing, it is 0.
Tensor cross_entropy(const Tensor& scores_BC, const Tensor& labels, double smoothing, const Tensor& weight_B = {});

/// The share that cross_entropy() takes for a label which keeps 1 - `smoothing`, where the rest is spread evenly over the other classes.
/// Throws std::invalid_argument for less than two classes, and for a label that would keep less than each other class.
double smoothing_over_all(double smoothing, int64_t classes);

}  // namespace flowrun::loss
