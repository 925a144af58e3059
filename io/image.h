#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace flowrun::io {

// In pixels; x to the right, y down.
struct Rect {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;

  bool operator==(const Rect&) const = default;
};

// H W C u8 pixels owned by someone else, rows packed without gaps.
struct ImageView {
  const uint8_t* pixels = nullptr;
  int height = 0;
  int width = 0;
  int channels = 3;

  size_t bytes() const { return static_cast<size_t>(height) * static_cast<size_t>(width) * static_cast<size_t>(channels); }
};

// H W C u8 pixels that keep their capacity when reshaped.
struct PixelBuffer {
  std::vector<uint8_t> pixels;
  int height = 0;
  int width = 0;
  int channels = 3;

  // Pixels are unspecified afterwards.
  void reshape(int new_height, int new_width, int new_channels) {
    height = new_height, width = new_width, channels = new_channels;
    pixels.resize(view().bytes());
  }
  ImageView view() const { return {pixels.data(), height, width, channels}; }
};

}  // namespace flowrun::io
