// Pictures with more than 8 bits a sample.
#include "io/codec/samples.h"

#include <gmock/gmock.h>

#include "io/codec/image_decoder.h"
#include "io/codec/tiff.h"
#include "io/error.h"
#include "support/io_files.h"
#include "support/io_images.h"
#include "support/io_python.h"

namespace flowrun::io {
namespace {

using test::message_of;
using testing::ElementsAre;
using testing::HasSubstr;

template <class T>
std::vector<uint8_t> converted(const std::vector<T>& values, const std::optional<SampleRange>& range, std::optional<SampleRange>* seen = nullptr) {
  SampleScale scale(range);
  std::vector<uint8_t> out(values.size());
  scale.convert<T>(reinterpret_cast<const uint8_t*>(values.data()), values.size(), 1, out.data(), 1);
  if (seen != nullptr) *seen = scale.seen();
  return out;
}

TEST(Samples, WithoutARangeTheUpperByteIsTaken) {
  std::optional<SampleRange> seen;
  EXPECT_THAT(converted<uint16_t>({0, 255, 256, 511, 65535}, {}, &seen), ElementsAre(0, 0, 1, 1, 255));
  EXPECT_EQ(seen, (SampleRange{0, 65535}));
}

TEST(Samples, ARangeBecomes0To255) {
  std::optional<SampleRange> seen;
  EXPECT_THAT(converted<uint16_t>({0, 100, 200, 355, 356, 65535}, SampleRange{100, 355}, &seen), ElementsAre(0, 0, 100, 255, 255, 255));
  EXPECT_EQ(seen, (SampleRange{0, 65535}));
  EXPECT_THAT(converted<uint16_t>({0, 1, 2, 3, 4}, SampleRange{0, 4}), ElementsAre(0, 64, 128, 191, 255)) << "63.75, 127.5, 191.25";
  EXPECT_THAT(converted<int16_t>({-1000, -500, 0, 1000}, SampleRange{-1000, 1000}), ElementsAre(0, 64, 128, 255));
  constexpr float none = std::numeric_limits<float>::quiet_NaN(), endless = std::numeric_limits<float>::infinity();
  EXPECT_THAT(converted<float>({-endless, 0, 0.5f, 1, none, endless}, SampleRange{0, 1}, &seen), ElementsAre(0, 0, 128, 255, 0, 255));
  converted<float>({none, none}, SampleRange{0, 1}, &seen);
  EXPECT_FALSE(seen) << "no number, no smallest one";
}

/// Files of tests/support/image_files.py, and what numpy makes of them.
TEST(Samples, OfFilesAsNumpyHasThem) {
  test::require_python("PIL.Image, numpy, tifffile");
  if (IsSkipped()) return;
  const test::TemporaryDirectory dir;
  test::run_python(dir.path(), test::get_file(flowrun::test::source_dir() / "tests/support/image_files.py") + R"(
import numpy, pathlib, tifffile
def put(name, a, low, high):
    a = a.astype('float64')
    a = numpy.broadcast_to(a if a.ndim == 3 else a[..., None], (*a.shape[:2], 3))
    out = numpy.floor(numpy.clip((a - low) * (255 / (high - low)), 0, 255) + 0.5).astype('uint8')
    open(name + '.rgb', 'wb').write(out.tobytes())
    open(name + '.facts', 'w').write(f'{low} {high} {a.min()} {a.max()}')
for path in pathlib.Path().glob('deep-*.tif'):
    a = tifffile.imread(path)
    put(path.name, a, int(numpy.quantile(a, 0.2)), int(numpy.quantile(a, 0.7)))
for name in 'png-0-16.png', 'png-0-16-interlaced.png':
    put(name, numpy.asarray(Image.open(name)), 10000, 30000)
)");
  ImageDecoder decoder;
  int compared = 0;
  for (const std::string& name : test::names_in(dir.path())) {
    if (!std::filesystem::exists(dir / (name + ".rgb"))) continue;
    SCOPED_TRACE(name);
    ++compared;
    std::istringstream facts(test::get_file(dir / (name + ".facts")));
    SampleRange range, values;
    facts >> range.low >> range.high >> values.low >> values.high;
    const std::vector<uint8_t> bytes = test::load(dir / name);
    PixelBuffer whole, part;
    DecodeOptions options{.range = range};
    const Decoded decoded = decoder.decode(bytes, options, whole);
    EXPECT_TRUE(std::string(whole.pixels.begin(), whole.pixels.end()) == test::get_file(dir / (name + ".rgb")));
    ASSERT_TRUE(decoded.deep);
    EXPECT_NEAR(decoded.deep->low, values.low, 1e-3);
    EXPECT_NEAR(decoded.deep->high, values.high, 1e-3);
    std::mt19937 random(1);
    for (int i = 0; i < 20; ++i) {
      options.region = test::random_region(random, whole.width, whole.height);
      decoder.decode(bytes, options, part);
      EXPECT_TRUE(part.pixels == test::crop(whole, *options.region).pixels);
    }
    const bool has_upper_byte = name.find("16") != std::string::npos && name.find("signed") == std::string::npos;
    if (has_upper_byte) {
      EXPECT_EQ(decoder.decode(bytes, {}, part).deep, decoded.deep);
    } else {
      EXPECT_THAT(message_of<Error>([&] { decoder.decode(bytes, {}, part); }),
                  testing::AllOf(HasSubstr(" bits"), HasSubstr("\"range\": [low, high]")));
    }
  }
  EXPECT_EQ(compared, 8);
  PixelBuffer out;
  EXPECT_FALSE(decoder.decode(test::load(dir / "png-0-8.png"), {.range = SampleRange{0, 9}}, out).deep) << "8 bits are taken as they are";
}

}  // namespace
}  // namespace flowrun::io
