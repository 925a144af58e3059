// Feature grids from safetensors files.
#pragma once

#include <filesystem>

#include "nodes/lib/host/types/grids.h"

namespace flowrun::source {

/// Reads "features" [H, W, C] (F32, F16 or BF16) and, where it is there, "valid" [H, W] (BOOL or U8); without it all cells are valid. Throws
/// io::Error that names the file for other tensors, types or shapes, and for numbers that are not finite in valid cells. Any thread.
void read_grid(const std::filesystem::path& file, FeatureGrid& out);

}  // namespace flowrun::source
