#include "io/codec/jpeg_tiles.h"

#include <gmock/gmock.h>

#include "io/codec/jpeg.h"
#include "io/error.h"
#include "support/io_files.h"
#include "support/io_images.h"
#include "support/io_jpeg.h"
#include "support/io_python.h"

namespace flowrun::io {
namespace {

using Bytes = std::vector<uint8_t>;
using test::make_image;

PixelBuffer decoded(const Bytes& bytes) {
  JpegDecoder decoder;
  PixelBuffer image;
  decoder.decode(bytes, image);
  return image;
}

// Tiles BYTES: the pixels stay, and regions of the tiled file are those of the original. Returns how many of the regions
// were cut out of their tiles.
int expect_same_pixels(const Bytes& bytes, int tiles_per_row, int regions, uint32_t seed, const std::string& name) {
  const PixelBuffer whole = decoded(bytes);
  const Bytes tiled = tile_jpeg(bytes, {tiles_per_row});
  const PixelBuffer again = decoded(tiled);
  EXPECT_TRUE(again.width == whole.width && again.height == whole.height && again.pixels == whole.pixels) << name;
  JpegDecoder decoder;
  JpegTiles tiles;
  PixelBuffer part;
  std::mt19937 random(seed);
  int cut = 0;
  for (int i = 0; i < regions; ++i) {
    const Rect region = test::random_region(random, whole.width, whole.height);
    decoder.decode(tiled, region, part);
    EXPECT_TRUE(part.width == region.width && part.height == region.height && part.pixels == test::crop(whole, region).pixels)
        << name << ", " << tiles_per_row << " tiles: " << region.width << "x" << region.height << " at " << region.x << "," << region.y << " of "
        << whole.width << "x" << whole.height;
    if (!tiles.cut(tiled, region, INT64_MAX)) continue;
    ++cut;
  }
  return cut;
}

TEST(JpegTiles, PhotographsKeepTheirPixels) {
  const auto paths = test::photographs();
  if (paths.empty()) GTEST_SKIP() << "no photographs in " << test::data_folder();
  int cut = 0;
  for (size_t i = 0; i < paths.size(); ++i) {
    for (const int tiles : {8, 16, 0}) cut += expect_same_pixels(test::load(paths[i]), tiles, 4, static_cast<uint32_t>(i), paths[i].filename());
  }
  EXPECT_GT(cut, static_cast<int>(paths.size()) * 8) << "hardly any region was cut out of its tiles";
}

TEST(JpegTiles, EveryKindKeepsItsPixels) {
  struct Kind {
    const char* name;
    test::OddJpeg odd;
  };
  const Kind kinds[] = {{"4:4:4", {1, 1}},
                        {"4:2:2", {2, 1}},
                        {"4:2:0", {2, 2}},
                        {"4:4:0", {1, 2}},
                        {"4:1:1", {4, 1}},
                        {"4:1:0", {4, 2}},
                        {"progressive", {2, 2, true}},
                        {"RGB", {1, 1, false, 0, true}},
                        {"restarts", {2, 2, false, 1}}};
  for (const Kind& kind : kinds) {
    int cut = 0;
    for (uint32_t i = 0; i < 12; ++i) {
      const int height = 3 + static_cast<int>(i) * 17, width = 7 + static_cast<int>(i) * 19;
      const Bytes bytes = test::encode_odd_jpeg(make_image(height, width, 3, i), kind.odd);
      for (const int tiles : {4, 0}) cut += expect_same_pixels(bytes, tiles, 30, i, kind.name);
    }
    EXPECT_GT(cut, 50) << kind.name;
  }
  for (const int channels : {1, 3}) {
    Bytes bytes;
    encode_jpeg(make_image(130, 150, channels, 3).view(), 80, bytes);
    expect_same_pixels(bytes, 16, 100, 5, std::to_string(channels) + " channels");
  }
}

TEST(JpegTiles, EveryRegionOfASmallImage) {
  for (const ChromaSampling sampling : {ChromaSampling::s444, ChromaSampling::s422, ChromaSampling::s420}) {
    Bytes bytes;
    encode_jpeg(make_image(33, 49, 3, 2).view(), 85, bytes, sampling);
    const PixelBuffer whole = decoded(bytes);
    const Bytes tiled = tile_jpeg(bytes, {0});
    JpegDecoder decoder;
    PixelBuffer part;
    for (int x = 0; x < whole.width; ++x) {
      for (int width = 1; width <= whole.width - x; ++width) {
        const int y = (x * 7 + width) % whole.height, height = 1 + (x + width * 5) % (whole.height - y);
        const Rect region{x, y, width, height};
        decoder.decode(tiled, region, part);
        ASSERT_TRUE(part.pixels == test::crop(whole, region).pixels) << width << "x" << height << " at " << x << "," << y;
      }
    }
  }
}

TEST(JpegTiles, PillowReadsTheSame) {
  test::require_python("PIL.Image");
  if (IsSkipped()) return;
  const test::TemporaryDirectory dir;
  test::run_python(dir.path(), R"(
from PIL import Image
import random
random.seed(1)
image = Image.frombytes('RGB', (61, 47), bytes(random.randrange(256) for _ in range(61 * 47 * 3))).resize((200, 150))
exif = Image.Exif()
exif[0x0112] = 6
image.save('exif.jpg', exif=exif, comment=b'a comment', icc_profile=b'p' * 70000, dpi=(72, 96))
image.convert('CMYK').save('cmyk.jpg', quality=90)
image.save('progressive.jpg', progressive=True, quality=60)
image.convert('L').save('gray.jpg')
)");
  for (const char* name : {"exif", "cmyk", "progressive", "gray"}) {
    const Bytes bytes = test::load(dir / (std::string(name) + ".jpg"));
    expect_same_pixels(bytes, 16, 50, 1, name);
    const Bytes tiled = tile_jpeg(bytes);
    test::put_file(dir / (std::string(name) + ".tiled.jpg"), std::string(tiled.begin(), tiled.end()));
  }
  test::run_python(dir.path(), R"(
from PIL import Image
for name in ('exif', 'cmyk', 'progressive', 'gray'):
    old, new = Image.open(name + '.jpg'), Image.open(name + '.tiled.jpg')
    assert old.mode == new.mode and old.tobytes() == new.tobytes(), name
    for key in ('exif', 'comment', 'icc_profile', 'dpi', 'adobe_transform'):
        assert old.info.get(key) == new.info.get(key), (name, key)
)");
}

TEST(JpegTiles, TilingTwiceChangesNothing) {
  Bytes bytes;
  encode_jpeg(make_image(100, 400, 3, 1).view(), 85, bytes);
  const Bytes once = tile_jpeg(bytes);
  EXPECT_EQ(tile_jpeg(once), once);
}

// If a marker is missing or wrong, the decoder gets the unchanged file, and reports its fault.
TEST(JpegTiles, WrongMarkersAreLeftToTheDecoder) {
  Bytes bytes;
  encode_jpeg(make_image(160, 160, 3, 1).view(), 85, bytes);
  const Bytes tiled = tile_jpeg(bytes, {0});
  const Rect region{100, 100, 30, 30};
  JpegTiles tiles;
  EXPECT_TRUE(tiles.cut(tiled, region, INT64_MAX));
  EXPECT_FALSE(tiles.cut(bytes, region, INT64_MAX)) << "not tiled";
  EXPECT_FALSE(tiles.cut(tiled, {0, 0, 160, 160}, INT64_MAX)) << "nothing to gain";
  EXPECT_FALSE(tiles.cut(tiled, {100, 100, 61, 30}, INT64_MAX)) << "outside";
  EXPECT_FALSE(tiles.cut(tiled, region, 160 * 160 - 1)) << "too many pixels";
  EXPECT_FALSE(tiles.cut(Bytes(tiled.begin(), tiled.begin() + static_cast<ptrdiff_t>(tiled.size() / 2)), region, INT64_MAX)) << "cut short";
  std::vector<size_t> markers;
  for (size_t i = 0; i + 1 < tiled.size(); ++i) {
    if (tiled[i] == 0xff && tiled[i + 1] >= 0xd0 && tiled[i + 1] <= 0xd7) markers.push_back(i);
  }
  ASSERT_EQ(markers.size(), 99u) << "ten by ten tiles";
  for (const uint8_t wrong : {0x00, 0xd9, 0xda, 0xd5}) {
    Bytes changed = tiled;
    changed[markers[2] + 1] = wrong;
    EXPECT_FALSE(tiles.cut(changed, region, INT64_MAX)) << int(wrong);
  }
}

TEST(JpegTiles, BrokenFilesAreErrors) {
  EXPECT_THAT(test::message_of<Error>([] { tile_jpeg(Bytes{}); }), testing::HasSubstr("empty"));
  Bytes bytes;
  encode_jpeg(make_image(160, 160, 3, 1).view(), 85, bytes);
  bytes.resize(bytes.size() / 2);
  EXPECT_THAT(test::message_of<Error>([&] { tile_jpeg(bytes); }), testing::HasSubstr("truncated"));
}

}  // namespace
}  // namespace flowrun::io
