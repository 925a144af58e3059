// Small coloured pictures of ten upright objects: a data set without files in which orientation, layout and colour mean
// something, as rotation, jigsaw and colorization need it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/contract/rng.h"
#include "io/codec/image.h"

namespace flowrun::shapes {

/// T, L, arrow, house, mug, fir, flag, face, key, moon.
inline constexpr int64_t classes = 10;
const char* class_name(int64_t label);

/// Whether the point (u right, v down) belongs to the object; objects lie in [-1, 1] x [-1, 1].
bool covers(int64_t label, double u, double v);

/// size x size x 3 bytes, RGB, row by row. One object, slightly shifted, turned, scaled and stretched, on a background with a
/// soft wave. Object and background differ in brightness (0.299 R + 0.587 G + 0.114 B) by 0.25 or more where that fits; the
/// object's hue is that of its class with chance `own_hue`: at 0.8 colour helps but does not decide, at 0 it says nothing of the class. All
/// of it is drawn from `rng`. Returns the object's hue, in degrees. `map`, if given, gets the class of each pixel, size x size x 1: the label where
/// the object covers most of it, `background` elsewhere.
double draw(int64_t label, int size, Rng rng, std::vector<uint8_t>& out, double own_hue = 0.8, io::PixelBuffer* map = nullptr);

/// The class of pixels beside the object.
inline constexpr uint8_t background = classes;

/// "a red flag": the class, with the nearest of ten names of colours.
std::string caption(int64_t label, double hue);

}  // namespace flowrun::shapes
