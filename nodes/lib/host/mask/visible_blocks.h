// Inverse masks: blocks are visible, the rest is hidden. Squares at random places (data2vec 2.0), and one rectangle
// that may wrap around the edges (CAPI, Franca). Pure.
#pragma once

#include "nodes/lib/host/mask/hidden_map.h"

namespace flowrun::mask {

struct SquareBlocks {
  int grid = 14;
  double keep = 0.2;     // share of the patches that is visible, exactly int(N keep)
  double adjust = 0.07;  // added when squares are counted, since they overlap
  int length = 3;        // side of a square
  int64_t repeats = 1;   // masks of an image
};
/// Throws std::runtime_error when nothing is visible or nothing hidden, or no square is to be drawn.
void draw_square_blocks(const SquareBlocks& options, const Rng& group, int64_t images, Masks& out);

struct RolledBlock {
  int grid = 14;
  double ratio_low = 0.75, ratio_high = 0.75;  // share that is hidden; one draw per group
  double aspect = 0.5;                         // least of height over width; the largest is its inverse; log-uniform
  bool roll = true;                            // the map is shifted around both axes
  double predicted = 1;                        // share of the hidden patches that become targets
  // With spread_high > 0 the ratios are those of spread_counts(); the map holds what is hidden, the lists have no targets.
  double spread_low = 0, spread_high = 0, masked_share = 0.5;
};
/// Takes the first draws of the group. Throws std::runtime_error when nothing is visible or nothing hidden.
void draw_rolled_block(const RolledBlock& options, const Rng& group, int64_t images, Masks& out);

}  // namespace flowrun::mask
