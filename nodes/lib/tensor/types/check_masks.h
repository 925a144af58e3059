// Masks must be made for the grid of the model that reads them.
#pragma once

#include <string>

#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {

/// Throws NodeError for masks that are missing, or that count patches on another grid than `grid` x `grid`, which `owner` has:
/// indices of another grid would mean other places.
void check_masks(const DeviceMasks& masks, int64_t grid, const std::string& owner);

/// Before a run, for inputs "image" and "mask": faults of patches of so many pixels that don't tile the pictures, and of masks of
/// another grid or another number of views.
void check_patches(NodePlan& plan, int64_t patch);

}  // namespace flowrun
