// Small gray pictures of ten kinds of texture: a data set without files that a small encoder can learn.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/contract/rng.h"

namespace flowrun::textures {

/// Stripes of three orientations and two periods, checks, dots, rings, blocks.
inline constexpr int64_t classes = 10;
const char* class_name(int64_t label);

/// size x size bytes, row by row. Phase, slight rotation, contrast, sign, brightness and grain are drawn from `rng`, so
/// that single pixels carry little information; colour would be a shortcut, so there is none.
void draw(int64_t label, int size, Rng rng, std::vector<uint8_t>& out);

}  // namespace flowrun::textures
