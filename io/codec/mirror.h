#pragma once

#include "io/codec/image.h"

namespace flowrun::io {

// Mirrors view VIEW left-right, in place; 1 or 3 channels.
void mirror(PixelBuffer& image, int view = 0);

// Turns view VIEW upside down, in place.
void turn_over(PixelBuffer& image, int view = 0);

}  // namespace flowrun::io
