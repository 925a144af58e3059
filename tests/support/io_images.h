#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "io/codec/image.h"
#include "io/file.h"
#include "tests/support/places.h"

namespace flowrun::io::test {

// Smooth waves with noise and hard edges, to which resizing and chroma upsampling are sensitive.
inline PixelBuffer make_image(int height, int width, int channels, uint32_t seed) {
  std::mt19937 random(seed);
  PixelBuffer image;
  image.reshape(height, width, channels);
  const auto period = static_cast<int>(random() % 40 + 5);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        int value = ((x * (c + 1) + y * 2) * 256 / period) & 255;
        if ((x / 13 + y / 17) % 3 == 0) value = (c == static_cast<int>(seed % 3)) ? 255 : 0;
        value += static_cast<int>(random() % 31) - 15;
        image.pixels[(static_cast<size_t>(y) * width + x) * channels + c] = static_cast<uint8_t>(std::clamp(value, 0, 255));
      }
    }
  }
  return image;
}

inline PixelBuffer crop(const PixelBuffer& image, const Rect& region) {
  PixelBuffer out;
  out.reshape(region.height, region.width, image.channels);
  const size_t row = static_cast<size_t>(region.width) * image.channels;
  for (int y = 0; y < region.height; ++y) {
    std::memcpy(out.pixels.data() + y * row, image.pixels.data() + (static_cast<size_t>(region.y + y) * image.width + region.x) * image.channels,
                row);
  }
  return out;
}

inline Rect random_region(std::mt19937& random, int width, int height) {
  const int w = static_cast<int>(random() % width) + 1;
  const int h = static_cast<int>(random() % height) + 1;
  return {static_cast<int>(random() % (width - w + 1)), static_cast<int>(random() % (height - h + 1)), w, h};
}

inline std::filesystem::path data_folder() { return flowrun::test::source_dir() / "../shared/data"; }

// The photographs of the sample, sorted; empty when they are not there.
inline std::vector<std::filesystem::path> photographs() {
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(data_folder() / "imagenet-sample", error)) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

inline std::vector<uint8_t> load(const std::filesystem::path& path) {
  std::vector<uint8_t> bytes;
  read_file(path, bytes);
  return bytes;
}

}  // namespace flowrun::io::test
