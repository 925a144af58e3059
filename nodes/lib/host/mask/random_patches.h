// Random patches hidden (MAE, appendix A.1), also in square units (SimMIM, section 3.2). Pure.
#pragma once

#include "nodes/lib/host/mask/hidden_map.h"

namespace flowrun::mask {

struct RandomPatches {
  int grid = 14;
  double ratio = 0.75;  // share that is hidden
  double kept = 0;      // CrossMAE: share of all patches that become targets; 0: all that are hidden
};
/// int(N (1 - ratio)) patches stay visible. Throws std::runtime_error when no patch is visible, or none hidden.
void draw_random_patches(const RandomPatches& options, const Rng& group, int64_t images, Masks& out);

struct RandomUnits {
  int grid = 14;
  int unit = 2;  // patches along the side of a unit; divides the grid
  double ratio = 0.6;
};
/// ceil(units ratio) units are hidden. Errors as above.
void draw_random_units(const RandomUnits& options, const Rng& group, int64_t images, Masks& out);

}  // namespace flowrun::mask
