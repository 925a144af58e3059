#include "io/resize/resize.h"

#include <gmock/gmock.h>
#include <sstream>

#include "io/codec/jpeg.h"
#include "io/error.h"
#include "io/resize/resize_kernels.h"
#include "support/io_files.h"
#include "support/io_images.h"
#include "support/io_python.h"

namespace flowrun::io {
namespace {

using test::make_image;
using test::message_of;

struct Case {
  PixelBuffer source;
  int height;
  int width;
  Filter filter;
  bool flip;
};

// Lets Pillow resize every case's source and returns its pixels, case after case.
std::vector<std::string> resize_in_pillow(const std::vector<Case>& cases) {
  const test::TemporaryDirectory dir;
  std::ostringstream list;
  for (size_t i = 0; i < cases.size(); ++i) {
    const Case& one = cases[i];
    test::put_file(dir / std::to_string(i), std::string(one.source.pixels.begin(), one.source.pixels.end()));
    list << one.source.height << ' ' << one.source.width << ' ' << one.source.channels << ' ' << one.height << ' ' << one.width << ' '
         << (one.filter == Filter::bicubic ? "BICUBIC" : "BILINEAR") << ' ' << one.flip << '\n';
  }
  test::put_file(dir / "list", list.str());
  test::run_python(dir.path(), R"(
import PIL
from PIL import Image
assert PIL.__version__.startswith('12.'), PIL.__version__ + ': from 13 on Pillow picks the order of the passes'
for i, line in enumerate(open('list')):
    h, w, c, oh, ow, name, flip = line.split()
    image = Image.frombytes('RGB' if c == '3' else 'L', (int(w), int(h)), open(str(i), 'rb').read())
    image = image.resize((int(ow), int(oh)), getattr(Image.Resampling, name))
    if flip == '1':
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    open(str(i) + '.out', 'wb').write(image.tobytes())
)");
  std::vector<std::string> results;
  for (size_t i = 0; i < cases.size(); ++i) results.push_back(test::get_file(dir / (std::to_string(i) + ".out")));
  return results;
}

// The kernels of this processor, and the portable loops.
std::vector<const ResizeKernels*> all_kernels() {
  std::vector<const ResizeKernels*> all(resize_kernels().begin(), resize_kernels().end());
  all.push_back(nullptr);
  return all;
}

// One table of cases for all instruction sets.
void expect_equal_to_pillow(const std::vector<Case>& cases) {
  test::require_python("PIL.Image");
  if (testing::Test::IsSkipped()) return;
  const std::vector<std::string> expected = resize_in_pillow(cases);
  for (const ResizeKernels* kernels : all_kernels()) {
    Resizer resizer(kernels);
    for (size_t i = 0; i < cases.size(); ++i) {
      const Case& one = cases[i];
      std::string out(static_cast<size_t>(one.height) * one.width * one.source.channels + 1, '\x5a');
      resizer.resize(one.source.view(), one.height, one.width, one.filter, one.flip, reinterpret_cast<uint8_t*>(out.data()));
      EXPECT_EQ(out.back(), '\x5a') << "wrote past the end";
      out.pop_back();
      EXPECT_TRUE(out == expected[i]) << (kernels == nullptr ? "portable" : kernels->name) << ", case " << i << ": " << one.source.height << "x"
                                      << one.source.width << "x" << one.source.channels << " to " << one.height << "x" << one.width;
    }
  }
}

TEST(Resize, EqualsPillowOnGeneratedImages) {
  std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): the same cases each time
  std::vector<Case> cases;
  for (uint32_t i = 0; i < 300; ++i) {
    const auto size = [&](int most) { return static_cast<int>(random() % most) + 1; };
    const int most = i % 3 == 0 ? 12 : 300;
    cases.push_back({make_image(size(most), size(most), random() % 4 == 0 ? 1 : 3, i), size(most), size(most),
                     random() % 2 == 0 ? Filter::bicubic : Filter::bilinear, random() % 2 == 0});
    // Same in one or both directions: then Pillow leaves that pass away.
    if (i % 10 == 1) cases.back().height = cases.back().source.height;
    if (i % 10 == 2) cases.back().width = cases.back().source.width;
    if (i % 10 == 3) cases.back().height = cases.back().source.height, cases.back().width = cases.back().source.width;
  }
  expect_equal_to_pillow(cases);
}

TEST(Resize, EqualsPillowOnExtremeShapes) {
  std::vector<Case> cases;
  for (const Filter filter : {Filter::bilinear, Filter::bicubic}) {
    cases.push_back({make_image(1, 1, 3, 1), 224, 224, filter, false});
    cases.push_back({make_image(2000, 3, 3, 2), 5, 224, filter, true});
    cases.push_back({make_image(3, 2000, 3, 3), 224, 5, filter, false});
    cases.push_back({make_image(1500, 1500, 3, 4), 1, 1, filter, false});
    cases.push_back({make_image(17, 4000, 1, 5), 16, 1, filter, true});
  }
  expect_equal_to_pillow(cases);
}

TEST(Resize, EqualsPillowOnCropsOfPhotographs) {
  const auto paths = test::photographs();
  if (paths.empty()) GTEST_SKIP() << "no photographs in " << test::data_folder();
  std::mt19937 random(3);  // NOLINT(cert-msc51-cpp)
  JpegDecoder decoder;
  std::vector<Case> cases;
  for (size_t i = 0; i < paths.size(); ++i) {
    PixelBuffer photograph;
    decoder.decode(test::load(paths[i]), photograph);
    const Rect region = test::random_region(random, photograph.width, photograph.height);
    cases.push_back({test::crop(photograph, region), 224, 224, i % 3 == 0 ? Filter::bilinear : Filter::bicubic, i % 2 == 0});
  }
  expect_equal_to_pillow(cases);
}

TEST(Resize, ReadsAndWritesNoFurtherThanTheImage) {
  // Heap blocks of exactly the image's size: the sanitizer presets see a byte too far.
  for (const ResizeKernels* kernels : all_kernels()) {
    Resizer resizer(kernels);
    for (int width = 1; width < 40; ++width) {
      const PixelBuffer image = make_image(1 + width % 7, width, 3, static_cast<uint32_t>(width));
      const std::vector<uint8_t> source(image.pixels.begin(), image.pixels.end());
      std::vector<uint8_t> out(size_t{11} * 13 * 3), again(out.size());
      resizer.resize({source.data(), image.height, width, 3}, 11, 13, Filter::bicubic, true, out.data());
      Resizer(nullptr).resize({source.data(), image.height, width, 3}, 11, 13, Filter::bicubic, true, again.data());
      EXPECT_EQ(out, again) << width;
    }
  }
}

TEST(Resize, RefusesWhatItCannotDo) {
  Resizer resizer;
  const PixelBuffer four = make_image(4, 4, 4, 1);
  std::vector<uint8_t> out(100);
  const auto fault = [&](const ImageView& view, int height, int width) {
    return message_of<Error>([&] { resizer.resize(view, height, width, Filter::bicubic, false, out.data()); });
  };
  EXPECT_THAT(fault(four.view(), 2, 2), testing::HasSubstr("4 channels"));
  EXPECT_THAT(fault({out.data(), 4, 4, 3}, 0, 2), testing::HasSubstr("to 2x0"));
  EXPECT_THAT(fault({out.data(), 0, 4, 3}, 2, 2), testing::HasSubstr("4x0 pixels"));
}

}  // namespace
}  // namespace flowrun::io
