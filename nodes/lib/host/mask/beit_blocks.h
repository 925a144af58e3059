// Blocks of random size and aspect, added until enough is hidden (BEiT, algorithm 1; as its masking_generator.py has
// it), the spread over a batch that DINOv2 uses, and iBOT's choice of a ratio for each image. Pure.
#pragma once

#include <vector>

#include "nodes/lib/host/mask/hidden_map.h"

namespace flowrun::mask {

struct BeitBlocks {
  int grid = 14;
  int64_t count = 75;  // patches to hide; the result rarely falls short by more than a few
  int64_t min_block = 16;
  int64_t max_block = 0;  // most patches that one block hides; 0: any number
  double aspect = 0.3;    // least of height over width; the largest is its inverse; log-uniform
  bool exact = false;     // the missing patches are hidden at random
  // Share of the patches to hide when spread_high > 0; see spread_counts().
  double spread_low = 0, spread_high = 0, masked_share = 0.5;
  // Each image draws one of these, all equally likely, and then its share from ratio - spread to ratio + spread.
  struct Share {
    double ratio, spread;
  };
  std::vector<Share> choice;
  bool varies() const { return spread_high > 0 || !choice.empty(); }
};

/// Throws std::runtime_error when no block fits.
void draw_beit_blocks(const BeitBlocks& options, const Rng& group, int64_t images, Masks& out);

}  // namespace flowrun::mask
