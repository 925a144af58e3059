#include "io/codec/mirror.h"

#include <gtest/gtest.h>

#include "support/io_images.h"

namespace flowrun::io {
namespace {

TEST(Mirror, EveryWidth) {
  for (const int channels : {1, 3}) {
    for (int width = 1; width < 140; ++width) {
      const PixelBuffer image = test::make_image(3, width, channels, static_cast<uint32_t>(width));
      PixelBuffer mirrored = image;
      mirror(mirrored);
      for (int y = 0; y < 3; ++y) {
        for (int x = 0; x < width; ++x) {
          for (int c = 0; c < channels; ++c) {
            const auto at = [&](const PixelBuffer& i, int column) { return i.pixels[static_cast<size_t>((y * width + column) * channels + c)]; };
            ASSERT_EQ(at(mirrored, x), at(image, width - 1 - x)) << width << " wide, at " << x << "," << y;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace flowrun::io
