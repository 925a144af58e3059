// Moves a region until it overlaps another. No graph knowledge.
#pragma once

#include "io/codec/image.h"

namespace flowrun::image {

/// `rect` moved towards the centre of `to` where the two overlap by less than half of the smaller height or width, in each axis separately; it stays
/// within a picture of width x height pixels. As UDI's code (github.com/ISL-CV/udi, udi_augmentation.py), which measures a region from its first
/// pixel to its last; there a region of too low overlap may come to overlap by more than half.
io::Rect pulled(io::Rect rect, const io::Rect& to, int width, int height);

}  // namespace flowrun::image
