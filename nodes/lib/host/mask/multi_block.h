// Bootleg's multi-block masks (appendix C of the paper; the ranges are fitted to its table of mask shapes). Pure: the
// masks are a function of the parameters and the random numbers' address. No graph knowledge.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/contract/rng.h"
#include "nodes/lib/host/types/host_types.h"

namespace flowrun::mask {

/// All shares are of the N = grid x grid patches.
struct MultiBlock {
  int grid = 14;
  int regions = 4;
  double size_low = 0.163, size_high = 0.180;              // area of a region
  double aspect_low = 2.0 / 3.0, aspect_high = 3.0 / 2.0;  // height over width, independent of the area
  bool log_aspect = true;                                  // log-uniform; else uniform
  double background_low = 0.85, background_high = 1.0;     // area of the square that the student may see
  int min_keep = 10;                                       // fewest visible patches
  bool alternate = true;                                   // every second region has height and width swapped
};

/// Sizes that the images of a group share.
struct BlockSizes {
  int height, width;  // of regions with even index
  int background;     // side of the square
};

/// The masks of one group. Indices are row * grid + column.
struct BlockMasks {
  BlockSizes sizes{};
  int64_t visible_count = 0;     // K: the smallest number of visible patches in the group
  int64_t region_size = 0;       // M = height * width
  std::vector<int64_t> visible;  // B K, ascending in each image
  std::vector<int64_t> targets;  // B R M, row by row in each region
};

/// Takes draws 0 to 63 of `rng`.
BlockSizes draw_sizes(const MultiBlock& options, Rng rng);

/// Image i has draws 64 (i + 1) to 64 (i + 1) + 63 for itself, so that an image's masks depend on the others' only
/// through K. An image with fewer than min_keep visible patches is drawn again, up to 20 times; then
/// std::runtime_error.
void draw_masks(const MultiBlock& options, const Rng& rng, int64_t images, BlockMasks& out);

/// The same masks as the output of a node. Any thread; the memory of `out` is used again.
void draw_multi_block(const MultiBlock& options, const Rng& rng, int64_t images, Masks& out);

}  // namespace flowrun::mask
