// Small coloured pictures of ten upright objects: a data set without files in which orientation, layout and colour mean
// something, as rotation, jigsaw and colorization need it.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/contract/rng.h"

namespace flowrun::shapes {

/// T, L, arrow, house, mug, fir, flag, face, key, moon.
inline constexpr int64_t classes = 10;
const char* class_name(int64_t label);

/// Whether the point (u right, v down) belongs to the object; objects lie in [-1, 1] x [-1, 1].
bool covers(int64_t label, double u, double v);

/// size x size x 3 bytes, RGB, row by row. One object, slightly shifted, turned, scaled and stretched, on a background with a
/// soft wave. Object and background differ in brightness (0.299 R + 0.587 G + 0.114 B) by 0.25 or more where that fits; the
/// object's hue is that of its class in four of five pictures, so that colour helps but does not decide. All of it is drawn from
/// `rng`.
void draw(int64_t label, int size, Rng rng, std::vector<uint8_t>& out);

}  // namespace flowrun::shapes
