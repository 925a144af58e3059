// Confusion matrices of pixel classes, and their scores. No graph knowledge.
#pragma once

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::eval {

/// Counts [classes, classes] int64: row the truth, column the prediction. Pixels whose truth is `ignored` are left out.
/// Both of one shape, any integer type, values below `classes` (or the ignored one).
Tensor confusion(const Tensor& truth, const Tensor& named, int64_t classes, int64_t ignored = 255);

struct SegmentScores {
  double miou = 0;            ///< mean of the IoU over the classes that truth or prediction hold
  double pixel_accuracy = 0;  ///< share of pixels classified correctly
  int64_t classes = 0;        ///< how many the mean is over
};

/// Scores of all pixels pooled. Zeros when there are no pixels.
SegmentScores segment_scores(const Tensor& confusion_CC);

}  // namespace flowrun::eval
