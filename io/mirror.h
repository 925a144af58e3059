#pragma once

#include "io/image.h"

namespace flowrun::io {

// Mirrors left-right, in place; 1 or 3 channels.
void mirror(PixelBuffer& image);

}  // namespace flowrun::io
