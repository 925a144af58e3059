#include "nodes/lib/host/image/quarter_turn.h"

#include <algorithm>

namespace flowrun::image {

void quarter_turn(io::PixelBuffer& image, int from, int to) {
  const int side = image.height;
  const auto channels = static_cast<size_t>(image.channels), row = static_cast<size_t>(side) * channels;
  const uint8_t* source = image.view(from).pixels;
  uint8_t* out = image.at(to);
  for (int y = 0; y < side; ++y) {
    const uint8_t* column = source + static_cast<size_t>(side - 1 - y) * channels;
    for (int x = 0; x < side; ++x, out += channels) std::copy_n(column + static_cast<size_t>(x) * row, channels, out);
  }
}

}  // namespace flowrun::image
