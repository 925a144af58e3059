// Random patches hidden (MAE, appendix A.1), also in square units (SimMIM, section 3.2), and several masks of an image that
// together hide as much of it as they can (DMJD's disjoint masks). Pure.
#pragma once

#include "nodes/lib/host/mask/hidden_map.h"

namespace flowrun::mask {

struct RandomPatches {
  int grid = 14;
  double ratio = 0.75;   // share that is hidden
  double kept = 0;       // CrossMAE: share of all patches that become targets; 0: all that are hidden
  int64_t disjoint = 1;  // masks of an image, side by side: each hides first what those before it left visible
};
/// int(N (1 - ratio)) patches stay visible. Throws std::runtime_error when no patch is visible, or none hidden.
void draw_random_patches(const RandomPatches& options, const Rng& group, int64_t images, Masks& out);

struct RandomUnits {
  int grid = 14;
  int unit = 2;  // patches along the side of a unit; divides the grid
  double ratio = 0.6;
  int64_t disjoint = 1;  // as above, by units
};
/// ceil(units ratio) units are hidden. Errors as above.
void draw_random_units(const RandomUnits& options, const Rng& group, int64_t images, Masks& out);

/// The ratio at `step`, from 1, of a run of `total_steps`: it moves linearly from `first` towards `final`.
double ratio_at(double first, double final, int64_t step, int64_t total_steps);

}  // namespace flowrun::mask
