// I-JEPA's multi-block masks as its code draws them (src/masks/multiblock.py of the public repository), even where the
// paper differs, since published numbers come from the code. Pure.
//
//   sizes      one uniform number gives area and aspect, so that they are fully correlated; a side as long as the grid
//              or longer becomes one shorter than it
//   positions  the upper bound is exclusive: the last row and column are never covered
//   retries    a context with too few patches is drawn again; after 20 times one constraint (the last) is dropped, and
//              so on, so that it may then overlap targets
//   lists      are cut to the shortest of the group from behind: the bottom of the image goes
#pragma once

#include <cstdint>

#include "graph/contract/rng.h"
#include "nodes/lib/host/types/host_types.h"

namespace flowrun::mask {

struct IjepaBlocks {
  int grid = 14;
  int regions = 4;
  double size_low = 0.15, size_high = 0.2;
  double aspect_low = 0.75, aspect_high = 1.5;    // height over width
  double context_low = 0.85, context_high = 1.0;  // area of the square that the student may see
  int min_keep = 10;                              // a mask has more patches than this
};

struct IjepaSizes {
  int height, width;  // of regions
  int context;        // side of the square
};

/// Takes two draws of `sizes` each for regions and context.
IjepaSizes draw_ijepa_sizes(const IjepaBlocks& options, Rng sizes);

/// Sizes come from `sizes`, positions from `group` (row_rng of each image). Throws std::runtime_error when a region or
/// a context can't have more than min_keep patches.
void draw_ijepa_blocks(const IjepaBlocks& options, const Rng& sizes, const Rng& group, int64_t images, Masks& out);

}  // namespace flowrun::mask
