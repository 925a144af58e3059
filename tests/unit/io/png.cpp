#include "io/png.h"

#include <gmock/gmock.h>

#include "io/error.h"
#include "support/io_images.h"
#include "support/io_python.h"

namespace flowrun::io {
namespace {

using test::make_image;
using test::message_of;

TEST(Png, PillowReadsTheSamePixels) {
  test::require_python("PIL.Image");
  if (IsSkipped()) return;
  const test::TemporaryDirectory dir;
  for (const int channels : {1, 3, 4}) {
    for (const auto& [height, width] : {std::pair(1, 1), std::pair(37, 53), std::pair(224, 224)}) {
      const PixelBuffer image = make_image(height, width, channels, 1);
      write_png(dir / "image.png", image.view());
      test::run_python(dir.path(), "from PIL import Image\nopen('raw', 'wb').write(Image.open('image.png').tobytes())");
      EXPECT_TRUE(test::get_file(dir / "raw") == std::string(image.pixels.begin(), image.pixels.end())) << height << "x" << width << "x" << channels;
    }
  }
}

TEST(Png, RefusesOtherShapes) {
  const PixelBuffer image = make_image(4, 4, 4, 1);
  EXPECT_THAT(message_of<Error>([&] { encode_png({image.pixels.data(), 4, 4, 2}); }), testing::HasSubstr("2 channels"));
  EXPECT_THAT(message_of<Error>([&] { encode_png({image.pixels.data(), 0, 4, 3}); }), testing::HasSubstr("empty"));
}

}  // namespace
}  // namespace flowrun::io
