// Pictures turned by 90 degrees. No graph knowledge.
#pragma once

#include "io/codec/image.h"

namespace flowrun::image {

/// View `to` of `image` becomes view `from` turned by 90 degrees counter-clockwise: transposed, then mirrored up-down. Pixels are moved,
/// never mixed, so four turns give the same bytes. The views must be square, and two.
void quarter_turn(io::PixelBuffer& image, int from, int to);

}  // namespace flowrun::image
