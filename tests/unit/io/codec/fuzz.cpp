// Parsers of bytes from outside: for any bytes the result is a value or an Error, in bounded memory. Mutations are
// seeded, so that a failure can be repeated; the sanitizer presets run the same tests.
#include <gtest/gtest.h>
#include <random>

#include "io/codec/image_decoder.h"
#include "io/codec/jpeg.h"
#include "io/codec/png.h"
#include "io/error.h"
#include "io/run/checkpoint.h"
#include "io/run/safetensors.h"
#include "io/strict_json.h"
#include "support/io_fuzz.h"

namespace flowrun::io {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes mutate(Bytes bytes, std::mt19937& random) {
  const auto below = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random); };
  const size_t changes = 1 + below(6);
  for (size_t i = 0; i < changes && !bytes.empty(); ++i) {
    const size_t at = below(bytes.size()), length = std::min(1 + below(16), bytes.size() - at);
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    switch (below(5)) {
      case 0:
        *begin = static_cast<uint8_t>(below(256));
        break;
      case 1:
        *begin ^= static_cast<uint8_t>(1u << below(8));
        break;
      case 2:
        bytes.erase(begin, begin + static_cast<std::ptrdiff_t>(length));
        break;
      case 3:
        std::fill_n(begin, length, below(2) ? 0xff : 0);
        break;
      default:
        bytes.resize(at);
    }
  }
  return bytes;
}

template <class Parse>
int count_taken(const Bytes& seed, uint32_t stream, int count, Parse&& parse) {
  return test::count_taken(seed, stream, count, mutate, parse);
}

Bytes picture(int height, int width, int channels, ChromaSampling sampling) {
  Bytes pixels(static_cast<size_t>(height) * static_cast<size_t>(width) * static_cast<size_t>(channels));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * 7 % 251);
  Bytes jpeg;
  encode_jpeg({pixels.data(), height, width, channels}, 80, jpeg, sampling);
  return jpeg;
}

TEST(Fuzz, JpegWholeAndByRegion) {
  JpegDecoder decoder(1 << 22);  // a mutated header must not make it allocate gigabytes
  int taken = 0;
  for (const auto& [seed, stream] :
       {std::pair(picture(40, 50, 3, ChromaSampling::s420), 1), std::pair(picture(33, 17, 1, ChromaSampling::s444), 2)}) {
    taken += count_taken(seed, static_cast<uint32_t>(stream), 4000, [&](const Bytes& bytes) {
      const ImageInfo info = read_image_info(bytes);
      PixelBuffer whole, part;
      decoder.decode(bytes, Rect{info.width / 4, info.height / 4, std::max(1, info.width / 2), std::max(1, info.height / 2)}, part);
      decoder.decode(bytes, whole);
      EXPECT_EQ(std::pair(whole.width, whole.height), std::pair(info.width, info.height));
    });
  }
  EXPECT_GT(taken, 10) << "every mutation was refused: none reached the decoder's depths";
}

/// Makes the checksums of all chunks right again: else no mutation would get past them.
void repair_checksums(Bytes& png) {
  const auto number = [&](size_t at) { return uint32_t{png[at]} << 24 | uint32_t{png[at + 1]} << 16 | uint32_t{png[at + 2]} << 8 | png[at + 3]; };
  for (size_t at = 8; at + 12 <= png.size();) {
    const size_t end = at + 8 + size_t{number(at)};
    if (end + 4 > png.size()) return;
    uint32_t crc = ~uint32_t{0};
    for (size_t i = at + 4; i < end; ++i) {
      crc ^= png[i];
      for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    for (size_t i = 0; i < 4; ++i) png[end + i] = static_cast<uint8_t>(~crc >> (24 - 8 * i));
    at = end + 4;
  }
}

TEST(Fuzz, PngLabels) {
  int taken = 0;
  for (const int channels : {1, 3}) {
    Bytes pixels(static_cast<size_t>(31 * 23 * channels));
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * 7 % 251);
    const Bytes seed = encode_png({pixels.data(), 31, 23, channels});
    for (const bool repaired : {false, true}) {
      taken += count_taken(seed, static_cast<uint32_t>(10 + 2 * channels + repaired), 4000, [&](Bytes bytes) {
        if (repaired) repair_checksums(bytes);
        PixelBuffer out;
        decode_png_labels(bytes, out, 1 << 20);  // a mutated header must not make it allocate gigabytes
        EXPECT_EQ(out.pixels.size(), out.view().bytes());
      });
    }
  }
  EXPECT_GT(taken, 20) << "nearly every mutation was refused: none reached the decoder's depths";
}

/// Bytes in front of the first chunk or marker behind the start: an EXIF block that says orientation 6.
Bytes exif_block() { return {'E', 'x', 'i', 'f', 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0}; }

TEST(Fuzz, ImagesOfAllFormats) {
  Bytes jpeg = picture(40, 50, 3, ChromaSampling::s420);
  Bytes marker = {0xff, 0xe1, 0, 34};
  const Bytes exif = exif_block();
  marker.insert(marker.end(), exif.begin(), exif.end());
  jpeg.insert(jpeg.begin() + 2, marker.begin(), marker.end());
  ASSERT_EQ(read_image_info(jpeg).orientation, 6);
  Bytes pixels(static_cast<size_t>(31 * 23 * 3));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * 7 % 251);
  Bytes png = encode_png({pixels.data(), 31, 23, 3});
  Bytes chunk = {0, 0, 0, 32, 'e', 'X', 'I', 'f'};
  chunk.insert(chunk.end(), exif.begin(), exif.end());
  chunk.resize(chunk.size() + 4);
  png.insert(png.begin() + 33, chunk.begin(), chunk.end());
  repair_checksums(png);
  ASSERT_EQ(read_image_info(png).orientation, 6);
  // 3 x 2 pixels, lossless.
  const Bytes webp = {0x52, 0x49, 0x46, 0x46, 0x1e, 0x00, 0x00, 0x00, 0x57, 0x45, 0x42, 0x50, 0x56, 0x50, 0x38, 0x4c, 0x11, 0x00,
                      0x00, 0x00, 0x2f, 0x02, 0x40, 0x00, 0x00, 0x07, 0x10, 0xfd, 0x8f, 0xfe, 0x07, 0x22, 0xa2, 0xff, 0x01, 0x00};
  // 4 x 3 pixels of four colours.
  const Bytes gif = {71, 73, 70, 56, 55, 97, 4, 0, 3, 0,  129, 0, 0, 1,  2,  3,  90,  0,   0, 0, 90, 0, 0, 0,  90, 44, 0,
                     0,  0,  0,  4,  0,  3,  0, 0, 8, 15, 0,   1, 4, 16, 48, 96, 128, 128, 0, 0, 18, 6, 8, 16, 16, 0,  59};
  // 8 x 4 pixels of gray in two strips; EXIF's orientation.
  Bytes tiff = {'I', 'I', 42, 0, 8, 0, 0, 0, 8, 0};
  const auto tag = [&](uint8_t code, uint8_t type, std::initializer_list<uint8_t> value, uint8_t count = 1) {
    tiff.insert(tiff.end(), {code, 1, type, 0, count, 0, 0, 0});
    tiff.insert(tiff.end(), value);
  };
  tag(0, 3, {8, 0, 0, 0}), tag(1, 3, {4, 0, 0, 0}), tag(2, 3, {8, 0, 0, 0}), tag(6, 3, {1, 0, 0, 0});
  tag(17, 3, {110, 0, 126, 0}, 2), tag(18, 3, {6, 0, 0, 0}), tag(22, 3, {2, 0, 0, 0}), tag(23, 3, {16, 0, 16, 0}, 2);
  tiff.resize(110);
  for (int i = 0; i < 32; ++i) tiff.push_back(static_cast<uint8_t>(i * 7));
  ASSERT_EQ(read_image_info(tiff).orientation, 6);
  ImageDecoder decoder;
  uint32_t stream = 30;
  int taken = 0;
  for (const Bytes& seed : {jpeg, png, webp, gif, tiff}) {
    for (const bool repaired : {false, true}) {
      taken += count_taken(seed, ++stream, 4000, [&](Bytes bytes) {
        if (repaired && seed == png) repair_checksums(bytes);
        const ImageInfo info = read_image_info(bytes);
        EXPECT_TRUE(info.width > 0 && info.height > 0 && info.orientation >= 1 && info.orientation <= 8);
        PixelBuffer whole, part;
        const DecodeOptions options{.apply_orientation = true, .keep_truncated = repaired, .max_pixels = 1 << 20};
        decoder.decode(bytes, options, whole);
        DecodeOptions some = options;
        some.region = {whole.width / 4, whole.height / 4, std::max(1, whole.width / 2), std::max(1, whole.height / 2)};
        decoder.decode(bytes, some, part);
        PixelBuffer expected;
        copy_rect(whole, *some.region, expected);
        EXPECT_EQ(part.pixels, expected.pixels);
      });
    }
  }
  EXPECT_GT(taken, 500);
}

TEST(Fuzz, Safetensors) {
  const std::vector<float> values(64, 1.5f);
  std::vector<TensorEntry> entries;
  for (const char* name : {"a", "blocks.0.weight", "z"}) entries.push_back({name, "F32", {8, 8}, std::as_bytes(std::span(values))});
  Bytes seed;
  stream_safetensors("memory", entries, {{"format", "pt"}}, [&](std::span<const std::byte> bytes) {
    const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
    seed.insert(seed.end(), data, data + bytes.size());
  });
  count_taken(seed, 3, 20'000, [](const Bytes& bytes) {
    const SafetensorsContent content = parse_safetensors(std::as_bytes(std::span(bytes)), "memory");
    size_t total = 0;
    for (const TensorEntry& entry : content.entries) {
      // Every byte of every tensor lies inside the file.
      for (const std::byte byte : entry.data) total += static_cast<size_t>(byte);
    }
    EXPECT_LE(total, bytes.size() * 255);
  });
}

TEST(Fuzz, ManifestAndJson) {
  const std::string text =
      R"({"step": 12, "format": 1, "files": [{"name": "student.safetensors", "bytes": 123, "xxh3_64": "0123456789abcdef"}], "extra": {"seed": 3}})";
  const Bytes seed(text.begin(), text.end());
  count_taken(seed, 4, 20'000, [](const Bytes& bytes) { parse_strict_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "memory"); });
  count_taken(seed, 5, 20'000, [](const Bytes& bytes) { parse_manifest({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "memory"); });
}

}  // namespace
}  // namespace flowrun::io
