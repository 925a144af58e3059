// Blocks of random size and aspect, added until enough is hidden (BEiT, algorithm 1; as its masking_generator.py has
// it), and the spread over a batch that iBOT and DINOv2 use. Pure.
#pragma once

#include "nodes/lib/host/mask/hidden_map.h"

namespace flowrun::mask {

struct BeitBlocks {
  int grid = 14;
  int64_t count = 75;  // patches to hide; the result rarely falls short by more than a few
  int64_t min_block = 16;
  double aspect = 0.3;  // least of height over width; the largest is its inverse; log-uniform
  bool exact = false;   // the missing patches are hidden at random
  // Share of the patches to hide when spread_high > 0: the masked images (masked_share of all) take one each of as many
  // equal parts of [low, high], in random order; the others are not masked.
  double spread_low = 0, spread_high = 0, masked_share = 0.5;
};

/// Throws std::runtime_error when no block fits.
void draw_beit_blocks(const BeitBlocks& options, const Rng& group, int64_t images, Masks& out);

}  // namespace flowrun::mask
