#include "io/codec/color.h"

#include <gmock/gmock.h>
#include <sstream>

#include "support/io_files.h"
#include "support/io_images.h"
#include "support/io_python.h"

namespace flowrun::io {
namespace {

struct Case {
  std::string kind;
  double amount;
};

void apply(const Case& one, PixelBuffer& image) {
  const int64_t count = static_cast<int64_t>(image.height) * image.width;
  uint8_t* pixels = image.pixels.data();
  if (one.kind == "brightness") adjust_brightness(pixels, count, one.amount);
  if (one.kind == "contrast") adjust_contrast(pixels, count, one.amount);
  if (one.kind == "saturation") adjust_saturation(pixels, count, one.amount);
  if (one.kind == "hue") adjust_hue(pixels, count, one.amount);
  if (one.kind == "gray") to_gray(pixels, count);
  if (one.kind == "solarize") solarize(pixels, count, static_cast<int>(one.amount));
}

// Every colour with channels in steps of 5, so that every branch of the conversions is met.
PixelBuffer all_colours() {
  PixelBuffer image;
  image.reshape(52, 52 * 52, 3);
  size_t i = 0;
  for (int r = 0; r < 256; r += 5) {
    for (int g = 0; g < 256; g += 5) {
      for (int b = 0; b < 256; b += 5) {
        for (const int value : {r, g, b}) image.pixels[i++] = static_cast<uint8_t>(value);
      }
    }
  }
  return image;
}

TEST(Color, IsTorchvisionsOnPillowImages) {
  test::require_python("torchvision, PIL.Image");
  if (testing::Test::IsSkipped()) return;
  std::vector<Case> cases;
  for (const char* kind : {"brightness", "contrast", "saturation"}) {
    for (const double factor : {0.0, 0.37, 0.6, 0.999, 1.0, 1.25, 1.4, 2.5}) cases.push_back({kind, factor});
  }
  for (const double shift : {-0.5, -0.1, -0.004, 0.0, 0.003, 0.05, 0.1, 0.31, 0.5}) cases.push_back({"hue", shift});
  for (const double threshold : {0, 1, 127, 128, 200, 256}) cases.push_back({"solarize", threshold});
  cases.push_back({"gray", 3});
  const std::vector<PixelBuffer> images = {all_colours(), test::make_image(37, 53, 3, 4)};
  const test::TemporaryDirectory dir;
  std::ostringstream list;
  for (const Case& one : cases) list << one.kind << ' ' << one.amount << '\n';
  test::put_file(dir / "list", list.str());
  for (size_t i = 0; i < images.size(); ++i) {
    test::put_file(dir / ("image" + std::to_string(i)), std::string(images[i].pixels.begin(), images[i].pixels.end()));
    test::put_file(dir / ("size" + std::to_string(i)), std::to_string(images[i].width) + " " + std::to_string(images[i].height));
  }
  test::run_python(dir.path(), R"(
from PIL import Image
from torchvision.transforms import functional as F
for i in (0, 1):
    image = Image.frombytes('RGB', tuple(map(int, open(f'size{i}').read().split())), open(f'image{i}', 'rb').read())
    for n, line in enumerate(open('list')):
        kind, amount = line.split()
        change = F.solarize if kind == 'solarize' else F.rgb_to_grayscale if kind == 'gray' else getattr(F, 'adjust_' + kind)
        changed = change(image, int(amount) if kind in ('gray', 'solarize') else float(amount))
        open(f'{i}.{n}', 'wb').write(changed.tobytes())
)");
  for (size_t i = 0; i < images.size(); ++i) {
    for (size_t n = 0; n < cases.size(); ++n) {
      PixelBuffer ours = images[i];
      apply(cases[n], ours);
      const std::string expected = test::get_file(dir / (std::to_string(i) + "." + std::to_string(n)));
      EXPECT_TRUE(std::string(ours.pixels.begin(), ours.pixels.end()) == expected) << cases[n].kind << ' ' << cases[n].amount << " of image " << i;
    }
  }
}

}  // namespace
}  // namespace flowrun::io
