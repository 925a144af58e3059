// Masks from filtered white noise (ColorMAE): the highest values are visible. Pure.
#pragma once

#include "nodes/lib/host/mask/hidden_map.h"

namespace flowrun::mask {

enum class NoiseColour { green, red, blue, purple };

struct FilteredNoise {
  int grid = 14;
  NoiseColour colour = NoiseColour::green;
  double sigma1 = 1, sigma2 = 2;  // of the Gaussian filters, in patches
  double ratio = 0.75;            // share that is hidden
};

/// Throws std::runtime_error when nothing is visible or nothing hidden, or the filters are too wide.
void draw_filtered_noise(const FilteredNoise& options, const Rng& group, int64_t images, Masks& out);

}  // namespace flowrun::mask
