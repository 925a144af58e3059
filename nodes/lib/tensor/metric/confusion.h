// How well pixels are named. No graph knowledge.
#pragma once

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::eval {

/// Counts [classes, classes] int64: row the truth, column what it was called. Pixels whose truth is `ignored` are left
/// out. Both of one shape, any integer type, values below `classes` (or the ignored one).
Tensor confusion(const Tensor& truth, const Tensor& named, int64_t classes, int64_t ignored = 255);

struct SegmentScores {
  double miou = 0;            ///< mean of the IoU over the classes that truth or prediction hold
  double pixel_accuracy = 0;  ///< share of pixels named right
  int64_t classes = 0;        ///< how many the mean is over
};

/// Of all pixels pooled. Zeros when there are none.
SegmentScores segment_scores(const Tensor& confusion_CC);

}  // namespace flowrun::eval
