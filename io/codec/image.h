#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
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

// H W C u8 pixels owned elsewhere, rows packed without gaps.
struct ImageView {
  const uint8_t* pixels = nullptr;
  int height = 0;
  int width = 0;
  int channels = 3;

  size_t bytes() const { return static_cast<size_t>(height) * static_cast<size_t>(width) * static_cast<size_t>(channels); }
};

// H W C u8 pixels that keep their capacity when reshaped; or several of one shape, one behind the other (V H W C).
struct PixelBuffer {
  std::vector<uint8_t> pixels;
  int height = 0;  // of one view
  int width = 0;
  int channels = 3;
  int views = 1;

  // Pixels are unspecified afterwards.
  void reshape(int new_height, int new_width, int new_channels, int new_views = 1) {
    height = new_height, width = new_width, channels = new_channels, views = new_views;
    pixels.resize(place(views));
  }
  ImageView view(int i = 0) const { return {pixels.data() + place(i), height, width, channels}; }
  uint8_t* at(int i) { return pixels.data() + place(i); }

 private:
  size_t place(int i) const { return static_cast<size_t>(i) * ImageView{nullptr, height, width, channels}.bytes(); }
};

// TO becomes the part RECT of FROM, which must lie inside and be another buffer.
inline void copy_rect(const PixelBuffer& from, const Rect& rect, PixelBuffer& to) {
  to.reshape(rect.height, rect.width, from.channels);
  const auto channels = static_cast<size_t>(from.channels);
  const size_t row = static_cast<size_t>(rect.width) * channels;
  for (int y = 0; y < rect.height; ++y) {
    const size_t at = (static_cast<size_t>(rect.y + y) * static_cast<size_t>(from.width) + static_cast<size_t>(rect.x)) * channels;
    std::memcpy(to.pixels.data() + static_cast<size_t>(y) * row, from.pixels.data() + at, row);
  }
}

}  // namespace flowrun::io
