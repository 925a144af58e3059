// Label maps at the places of an encoder's map. No graph knowledge.
#pragma once

#include <cstdint>
#include <vector>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::eval {

struct CellShares {
  Tensor shares_nC;   ///< float, of each class among the labelled pixels of a cell; rows sum to 1, or to 0 without any
  Tensor labelled_n;  ///< float, share of the cell's pixels that have a label
};
/// Of maps [B, H, W] u8, 255 where there is no label, cut to `grid` x `grid` cells, image by image, row by row. All labels are below `classes`.
/// Throws std::invalid_argument unless the grid divides both sides.
CellShares cell_shares(const Tensor& maps_BHW, int64_t grid, int64_t classes);

/// 1 in each of height x width cells that holds a pixel of another class than `background` (and than 255), and in the cells around within
/// `reach`, [B, 1, height, width] float; else 0.
struct Foreground {
  const std::vector<int64_t>& background;
  int64_t reach;
};
Tensor foreground(const Tensor& maps_BHW, int64_t height, int64_t width, const Foreground& what);

}  // namespace flowrun::eval
