#include "io/codec/jpeg_plain.h"

#include <gmock/gmock.h>

#include "io/codec/jpeg.h"
#include "io/codec/jpeg_tiles.h"
#include "io/error.h"
#include "support/io_fuzz.h"
#include "support/io_images.h"
#include "support/io_jpeg.h"

namespace flowrun::io {
namespace {

using Bytes = std::vector<uint8_t>;
using test::make_image;
using test::OddJpeg;

Bytes encoded(const OddJpeg& kind, int channels = 3, int height = 61, int width = 83) {
  return test::encode_odd_jpeg(make_image(height, width, channels, 4), kind);
}

size_t find(const Bytes& bytes, uint8_t marker) {
  const uint8_t code[] = {0xff, marker};
  return static_cast<size_t>(std::search(bytes.begin(), bytes.end(), code, code + 2) - bytes.begin());
}

TEST(PlainJpeg, WhatIsPlain) {
  Bytes gray;
  encode_jpeg(make_image(40, 50, 1, 1).view(), 90, gray);
  std::vector<Bytes> files = {gray};
  for (const auto& [across, down] : {std::pair(1, 1), {2, 1}, {2, 2}, {1, 2}, {4, 1}, {4, 2}}) {
    for (const bool progressive : {false, true}) {
      for (const int rows : {0, 1}) files.push_back(encoded({across, down, progressive, rows}));
    }
  }
  files.push_back(tile_jpeg(files[1], {0}));  // as many restart markers as there can be
  for (size_t i = 0; i < files.size(); ++i) {
    EXPECT_EQ(plain_jpeg(files[i]).size(), files[i].size()) << "file " << i;
    Bytes longer = files[i];
    longer.insert(longer.end(), {1, 2, 3});
    EXPECT_EQ(plain_jpeg(longer).size(), files[i].size()) << "file " << i << " with bytes behind its end";
  }
}

TEST(PlainJpeg, PhotographsArePlain) {
  const auto paths = test::photographs();
  if (paths.empty()) GTEST_SKIP() << "no photographs in " << test::data_folder();
  size_t plain = 0;
  for (const auto& path : paths) plain += plain_jpeg(test::load(path)).empty() ? 0 : 1;
  EXPECT_GE(plain + 2, paths.size());
}

TEST(PlainJpeg, WhatGpusDontDecodeIsNot) {
  EXPECT_TRUE(plain_jpeg(encoded({}, 4)).empty()) << "CMYK";
  EXPECT_TRUE(plain_jpeg(encoded({.direct_rgb = true})).empty()) << "RGB without conversion";
  EXPECT_TRUE(plain_jpeg(encoded({.arithmetic = true})).empty()) << "arithmetic coding";
  Bytes deep = encoded({});
  deep[find(deep, 0xc0) + 4] = 12;
  EXPECT_TRUE(plain_jpeg(deep).empty()) << "12 bits";
  for (const Bytes& other : {Bytes{}, Bytes{0xff}, Bytes{0xff, 0xd8, 0xff}, Bytes{0xff, 0xd8, 0xff, 0xd9}, Bytes(100, 0xff), Bytes(100, 0)}) {
    EXPECT_TRUE(plain_jpeg(other).empty()) << other.size() << " bytes";
  }
}

TEST(PlainJpeg, NoFileThatEndsTooEarlyIs) {
  for (const OddJpeg& kind : {OddJpeg{2, 2}, OddJpeg{2, 1, true}, OddJpeg{1, 1, false, 1}}) {
    const Bytes whole = encoded(kind);
    for (size_t size = 0; size < whole.size(); ++size) {
      ASSERT_TRUE(plain_jpeg(std::span(whole).first(size)).empty()) << size << " of " << whole.size() << " bytes";
    }
  }
}

TEST(PlainJpeg, LostPartsAreSeen) {
  const Bytes whole = encoded({2, 2, false, 1}, 3, 100, 60);
  Bytes lost = whole;
  lost.erase(lost.begin() + static_cast<std::ptrdiff_t>(find(whole, 0xd1)), lost.begin() + static_cast<std::ptrdiff_t>(find(whole, 0xd2)));
  EXPECT_TRUE(plain_jpeg(lost).empty()) << "an interval is missing";
  lost = whole;
  lost.erase(lost.begin() + static_cast<std::ptrdiff_t>(find(whole, 0xd5)), lost.end() - 2);
  EXPECT_TRUE(plain_jpeg(lost).empty()) << "the last intervals are missing";
  for (const uint8_t table : {0xc4, 0xdb}) {
    lost = whole;
    const size_t at = find(whole, table);
    const size_t length = static_cast<size_t>(whole[at + 2]) << 8 | whole[at + 3];
    lost.erase(lost.begin() + static_cast<std::ptrdiff_t>(at), lost.begin() + static_cast<std::ptrdiff_t>(at + 2 + length));
    EXPECT_TRUE(plain_jpeg(lost).empty()) << "a table is missing";
  }
  const Bytes progressive = encoded({2, 2, true});
  lost = progressive;
  const size_t second = find(Bytes(progressive.begin() + static_cast<std::ptrdiff_t>(find(progressive, 0xda)) + 2, progressive.end()), 0xda);
  lost.resize(find(progressive, 0xda) + 2 + second);
  lost.insert(lost.end(), {0xff, 0xd9});
  EXPECT_FALSE(plain_jpeg(lost).empty()) << "one scan of all colours is a picture, if a coarse one";
}

// After any change nothing is read outside, and a file called plain has its end marker.
TEST(PlainJpeg, DamagedFilesThatArePlainAreNotCutOff) {
  const auto damage = [](const Bytes& seed, std::mt19937& random) {
    Bytes bytes = seed;
    for (uint32_t i = 0, count = 1 + random() % 4; i < count; ++i) bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    return bytes;
  };
  JpegDecoder decoder;
  PixelBuffer image;
  int plain = 0;
  const auto parse = [&](const Bytes& bytes) {
    const auto part = plain_jpeg(bytes);
    if (part.empty()) throw Error("this is not a plain JPEG");
    ++plain;
    try {
      decoder.decode(part, image);
    } catch (const TruncatedError& error) {
      ADD_FAILURE() << error.what();
    } catch (const Error&) {  // wrong codes
    }
  };
  for (const OddJpeg& kind : {OddJpeg{2, 2}, OddJpeg{1, 1, true}, OddJpeg{2, 1, false, 1}})
    test::count_taken(encoded(kind, 3, 30, 40), 7, 3000, damage, parse);
  EXPECT_GT(plain, 1000);
}

}  // namespace
}  // namespace flowrun::io
