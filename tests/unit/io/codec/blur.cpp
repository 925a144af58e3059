#include "io/codec/blur.h"

#include <cstdlib>
#include <gmock/gmock.h>
#include <sstream>

#include "support/io_files.h"
#include "support/io_images.h"
#include "support/io_python.h"

namespace flowrun::io {
namespace {

struct Case {
  size_t image;
  int kernel_size;
  double sigma;
};

PixelBuffer noise(int height, int width) {
  PixelBuffer image;
  image.reshape(height, width, 3);
  uint32_t state = 1;
  for (uint8_t& value : image.pixels) value = static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  return image;
}

TEST(Blur, IsTorchvisionsWithinOneLevelOfFewPixels) {
  test::require_python("torchvision, PIL.Image, numpy");
  if (testing::Test::IsSkipped()) return;
  // Smooth and rough, wide, narrower than a vector, as small as the kernel allows.
  const std::vector<PixelBuffer> images = {test::make_image(96, 110, 3, 4), noise(70, 64), noise(37, 53), noise(40, 5), noise(5, 3)};
  std::vector<Case> cases;
  for (size_t i = 0; i < images.size(); ++i) {
    for (const int kernel_size : {1, 3, 5, 9, 23, 63}) {
      for (const double sigma : {0.1, 0.35, 0.5, 1.0, 1.37, 2.0, 7.0}) {
        if (kernel_size / 2 < std::min(images[i].height, images[i].width)) cases.push_back({i, kernel_size, sigma});
      }
    }
  }
  const test::TemporaryDirectory dir;
  std::ostringstream list;
  for (size_t n = 0; n < cases.size(); ++n) {
    PixelBuffer ours = images[cases[n].image];
    GaussianBlur().blur(ours.pixels.data(), ours.height, ours.width, cases[n].kernel_size, cases[n].sigma);
    test::put_file(dir / ("ours" + std::to_string(n)), std::string(ours.pixels.begin(), ours.pixels.end()));
    list << cases[n].image << ' ' << cases[n].kernel_size << ' ' << cases[n].sigma << '\n';
  }
  test::put_file(dir / "list", list.str());
  for (size_t i = 0; i < images.size(); ++i) {
    test::put_file(dir / ("image" + std::to_string(i)), std::string(images[i].pixels.begin(), images[i].pixels.end()));
    test::put_file(dir / ("size" + std::to_string(i)), std::to_string(images[i].width) + " " + std::to_string(images[i].height));
  }
  test::run_python(dir.path(), R"(
import numpy as np
from PIL import Image
from torchvision.transforms import functional as v1
from torchvision.transforms.v2 import functional as v2
differing = {'v1': 0, 'v2': 0}
values, changed = 0, 0
for n, line in enumerate(open('list')):
    i, kernel_size, sigma = line.split()
    size = tuple(map(int, open(f'size{i}').read().split()))
    image = Image.frombytes('RGB', size, open(f'image{i}', 'rb').read())
    ours = np.frombuffer(open(f'ours{n}', 'rb').read(), np.uint8).astype(int)
    changed += int((ours != np.asarray(image).reshape(-1)).sum())
    values += ours.size
    for name, library in (('v1', v1), ('v2', v2)):
        theirs = np.asarray(library.gaussian_blur(image, int(kernel_size), [float(sigma)] * 2)).reshape(-1)
        off = np.abs(ours - theirs)
        assert off.max() <= 1, f'{name} {line}: off by {off.max()}'
        differing[name] += int((off > 0).sum())
print(differing, values, changed)
assert changed > values / 2
for name, count in differing.items():
    assert count < 1e-4 * values, f'{name}: {count} of {values} values differ'
)");
  if (std::getenv("FLOWRUN_SAY")) printf("%s", test::get_file(dir / "script.log").c_str());
}

// The order of sums does not depend on the vectors: a picture in the left part of a wider one is the same there.
TEST(Blur, AValueDependsOnItsNeighboursAlone) {
  const PixelBuffer wide = noise(20, 90);
  PixelBuffer part, blurred = wide;
  GaussianBlur blur;
  blur.blur(blurred.pixels.data(), 20, 90, 7, 1.4);
  for (const int width : {4, 10, 11, 33, 64}) {
    copy_rect(wide, {0, 0, width, 20}, part);
    blur.blur(part.pixels.data(), 20, width, 7, 1.4);
    for (int y = 0; y < 20; ++y) {
      for (int i = 0; i < 3 * (width - 3); ++i) {
        ASSERT_EQ(part.pixels[static_cast<size_t>(y * width * 3 + i)], blurred.pixels[static_cast<size_t>(y * 270 + i)])
            << width << ' ' << y << ' ' << i;
      }
    }
  }
}

}  // namespace
}  // namespace flowrun::io
