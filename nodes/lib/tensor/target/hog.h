// Histograms of oriented gradients (Dalal and Triggs 2005) as targets (MaskFeat, Wei et al. 2022). No graph knowledge.
#pragma once

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::mim {

enum class HogOperator { scikit, maskfeat };

struct Hog {
  int64_t bins = 9;   ///< orientations in half a turn
  int64_t cell = 8;   ///< side of a cell, pixels
  double eps = 1e-5;  ///< added, squared, to the square of a histogram's length; of scikit
  HogOperator kind = HogOperator::scikit;
};

/// Per channel and cell the histogram of gradient directions, weighted by gradient length, of length 1:
/// images_BCHW -> [B, C, bins, H / cell, W / cell], float32 or float64.
///
/// scikit is scikit-image's feature.hog with cells_per_block (1, 1) and block_norm "L2", channel by channel: central
/// differences, zero at the border; direction modulo half a turn; a pixel counts for one bin, mean over a cell.
///
/// maskfeat is the operator of MaskFeat's code (SlowFast, slowfast/models/operators.py, without its Gaussian window): Sobel's
/// kernels on borders that are reflected; the direction is measured from the other axis; sum over a cell; lengths below 1e-12
/// are not divided by.
Tensor hog_cells(const Tensor& images_BCHW, const Hog& options);

/// The cells of the patches at an index as hidden_targets() takes it, [B, R, M, C bins (patch / cell)^2] or [1, 1, n, ..]: channel, bin, then the
/// cells row by row. Cells must tile patches, patches the image. Without gradient.
Tensor hog_targets(const Tensor& images_BCHW, const Tensor& index, int64_t patch, const Hog& options);

}  // namespace flowrun::mim
