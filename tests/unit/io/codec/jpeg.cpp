#include "io/codec/jpeg.h"

#include <gmock/gmock.h>
#include <sstream>

#include "io/error.h"
#include "support/io_files.h"
#include "support/io_images.h"
#include "support/io_jpeg.h"
#include "support/io_python.h"

namespace flowrun::io {
namespace {

namespace fs = std::filesystem;
using test::crop;
using test::make_image;
using test::message_of;
using testing::AllOf;
using testing::HasSubstr;

using Bytes = std::vector<uint8_t>;

Bytes encoded(int height, int width, int channels = 3, ChromaSampling sampling = ChromaSampling::s420) {
  Bytes bytes;
  encode_jpeg(make_image(height, width, channels, 1).view(), 90, bytes, sampling);
  return bytes;
}

// Converts each file as Pillow does and returns height, width and pixels as text in front of the bytes.
void expect_equal_to_pillow(const fs::path& dir, const std::vector<fs::path>& files) {
  std::string list;
  for (const fs::path& file : files) list += file.string() + "\n";
  test::put_file(dir / "list", list);
  test::run_python(dir, R"(
from PIL import Image
for i, line in enumerate(open('list')):
    image = Image.open(line.rstrip('\n')).convert('RGB')
    open(f'{i}.rgb', 'wb').write(f'{image.width} {image.height}\n'.encode() + image.tobytes())
)");
  JpegDecoder decoder;
  PixelBuffer image;
  for (size_t i = 0; i < files.size(); ++i) {
    decoder.decode(test::load(files[i]), image);
    EXPECT_EQ(image.channels, 3);
    std::string got = std::to_string(image.width) + " " + std::to_string(image.height) + "\n";
    got.append(image.pixels.begin(), image.pixels.end());
    EXPECT_TRUE(got == test::get_file(dir / (std::to_string(i) + ".rgb"))) << files[i];
  }
}

void expect_regions_equal_whole(const Bytes& bytes, int regions, uint32_t seed, const std::string& name) {
  std::mt19937 random(seed);
  JpegDecoder decoder;
  PixelBuffer whole;
  PixelBuffer part;
  decoder.decode(bytes, whole);
  for (int i = 0; i < regions; ++i) {
    const Rect region = test::random_region(random, whole.width, whole.height);
    decoder.decode(bytes, region, part);
    const PixelBuffer expected = crop(whole, region);
    EXPECT_EQ(part.width, region.width);
    EXPECT_EQ(part.height, region.height);
    EXPECT_TRUE(part.pixels == expected.pixels) << name << ": " << region.width << "x" << region.height << " at " << region.x << "," << region.y
                                                << " of " << whole.width << "x" << whole.height;
  }
}

TEST(Jpeg, DecodesPhotographsAsPillow) {
  const auto paths = test::photographs();
  if (paths.empty()) GTEST_SKIP() << "no photographs in " << test::data_folder();
  test::require_python("PIL.Image");
  if (IsSkipped()) return;
  const test::TemporaryDirectory dir;
  expect_equal_to_pillow(dir.path(), paths);
}

TEST(Jpeg, RegionsOfPhotographsEqualTheWhole) {
  const auto paths = test::photographs();
  if (paths.empty()) GTEST_SKIP() << "no photographs in " << test::data_folder();
  for (size_t i = 0; i < paths.size(); ++i) {
    expect_regions_equal_whole(test::load(paths[i]), 4, static_cast<uint32_t>(i), paths[i].string());
  }
}

// Every mode, sampling and size that Pillow can write.
TEST(Jpeg, DecodesEveryKindAsPillow) {
  test::require_python("PIL.Image, numpy");
  if (IsSkipped()) return;
  const test::TemporaryDirectory dir;
  test::run_python(dir.path(), R"(
import numpy as np
from PIL import Image
r = np.random.default_rng(1)
def image(mode, h, w):
    c = {'L': 1, 'RGB': 3, 'CMYK': 4}[mode]
    a = r.integers(0, 256, (max(1, h // 6), max(1, w // 6), c), np.uint8).squeeze(2 if c == 1 else ())
    return Image.fromarray(a, mode).resize((w, h), Image.Resampling.BICUBIC)
for h, w in [(1, 1), (2, 3), (7, 9), (16, 16), (17, 33), (64, 47), (200, 301)]:
    for mode in 'L', 'RGB', 'CMYK':
        for progressive in False, True:
            for sampling in (0, 1, 2) if mode != 'L' else (0,):
                name = f'{mode}-{h}x{w}-{sampling}-{int(progressive)}.jpg'
                image(mode, h, w).save(name, quality=85, subsampling=sampling, progressive=progressive)
image('RGB', 50, 60).save('restart.jpg', restart_marker_blocks=2)
exif = Image.Exif()
exif[274] = 6
image('RGB', 50, 60).save('rotated.jpg', exif=exif)
)");
  std::vector<fs::path> files;
  for (const std::string& name : test::names_in(dir.path())) {
    if (name.ends_with(".jpg")) files.push_back(dir / name);
  }
  ASSERT_GT(files.size(), 90);
  expect_equal_to_pillow(dir.path(), files);
  for (size_t i = 0; i < files.size(); ++i) {
    expect_regions_equal_whole(test::load(files[i]), 20, static_cast<uint32_t>(i), files[i].string());
  }
}

// Samplings that Pillow reads but does not write.
TEST(Jpeg, DecodesOddKindsAsPillowAndByRegion) {
  const test::TemporaryDirectory dir;
  std::vector<fs::path> files;
  uint32_t seed = 0;
  for (const test::OddJpeg& kind : {test::OddJpeg{1, 2}, test::OddJpeg{4, 1}, test::OddJpeg{1, 4}, test::OddJpeg{4, 2}, test::OddJpeg{2, 2, false, 1},
                                    test::OddJpeg{2, 2, true, 1}, test::OddJpeg{1, 1, false, 0, true}, test::OddJpeg{1, 2, true},
                                    test::OddJpeg{2, 2, false, 0, false, true}, test::OddJpeg{2, 2, true, 0, false, true}}) {
    for (const auto& [height, width] : {std::pair(5, 7), std::pair(48, 64), std::pair(101, 131)}) {
      const Bytes bytes = test::encode_odd_jpeg(make_image(height, width, 3, ++seed), kind);
      expect_regions_equal_whole(bytes, 60, seed, "kind " + std::to_string(seed));
      files.push_back(dir / (std::to_string(seed) + ".jpg"));
      test::put_file(files.back(), std::string(bytes.begin(), bytes.end()));
    }
  }
  for (const test::OddJpeg& ycck : {test::OddJpeg{1, 1}, test::OddJpeg{2, 2}, test::OddJpeg{2, 1, true}}) {
    const Bytes bytes = test::encode_odd_jpeg(make_image(61, 83, 4, ++seed), ycck);
    expect_regions_equal_whole(bytes, 60, seed, "YCCK " + std::to_string(seed));
    files.push_back(dir / (std::to_string(seed) + ".jpg"));
    test::put_file(files.back(), std::string(bytes.begin(), bytes.end()));
  }
  test::require_python("PIL.Image");
  if (IsSkipped()) return;
  expect_equal_to_pillow(dir.path(), files);
}

// All widths and places modulo a block, at right edges that cut one, two or many columns off a block.
TEST(Jpeg, EveryColumnRangeOfSmallImages) {
  JpegDecoder decoder;
  PixelBuffer whole;
  PixelBuffer part;
  for (const int width : {33, 34, 35, 40}) {
    for (const ChromaSampling sampling : {ChromaSampling::s420, ChromaSampling::s422}) {
      const Bytes bytes = encoded(20, width, 3, sampling);
      decoder.decode(bytes, whole);
      for (int y = 0; y < 20; y += 3) {
        for (int x = 0; x < width; ++x) {
          for (int columns = 1; columns <= width - x; ++columns) {
            const Rect region{x, y, columns, std::min(1 + x % 7, 20 - y)};
            decoder.decode(bytes, region, part);
            ASSERT_TRUE(part.pixels == crop(whole, region).pixels)
                << region.width << "x" << region.height << " at " << x << "," << y << " of width " << width;
          }
        }
      }
    }
  }
}

// Pillow's draft() and LOAD_TRUNCATED_IMAGES; what a region gives is what the whole gives there.
TEST(Jpeg, ShrinksAndKeepsTruncatedFilesAsPillow) {
  const test::TemporaryDirectory dir;
  struct Case {
    Bytes bytes;
    int shrink;
    bool cut;
  };
  std::vector<Case> cases;
  uint32_t seed = 0;
  for (const test::OddJpeg& kind : {test::OddJpeg{1, 1}, test::OddJpeg{2, 1}, test::OddJpeg{1, 2}, test::OddJpeg{2, 2}, test::OddJpeg{4, 1},
                                    test::OddJpeg{4, 2}, test::OddJpeg{2, 2, true}, test::OddJpeg{2, 2, false, 1}}) {
    for (const auto& [height, width] : {std::pair(97, 141), std::pair(48, 64)}) {
      const Bytes bytes = test::encode_odd_jpeg(make_image(height, width, 3, ++seed), kind);
      for (const int shrink : {1, 2, 4, 8}) cases.push_back({bytes, shrink, false});
      for (const double part : {0.35, 0.5, 0.77, 0.98}) {
        if (kind.progressive && part < 0.7) continue;  // libjpeg-turbo 2.1 and Pillow's 3.1 smooth missing scans in two ways
        cases.push_back(
            {{bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(static_cast<double>(bytes.size()) * part)}, 1 + (part == 0.77), true});
      }
      cases.push_back({{bytes.begin(), bytes.end() - 2}, 1, true});
    }
  }
  std::string list;
  for (size_t i = 0; i < cases.size(); ++i) {
    test::put_file(dir / (std::to_string(i) + ".jpg"), std::string(cases[i].bytes.begin(), cases[i].bytes.end()));
    list += std::to_string(cases[i].shrink) + "\n";
  }
  test::put_file(dir / "list", list);
  test::require_python("PIL.Image");
  if (IsSkipped()) return;
  test::run_python(dir.path(), R"(
from PIL import Image, ImageFile
ImageFile.LOAD_TRUNCATED_IMAGES = True
for i, line in enumerate(open('list')):
    image, shrink = Image.open(f'{i}.jpg'), int(line)
    if shrink > 1: image.draft('RGB', (image.width // shrink, image.height // shrink))
    open(f'{i}.rgb', 'wb').write(f'{image.width} {image.height}\n'.encode() + image.convert('RGB').tobytes())
)");
  JpegDecoder decoder;
  PixelBuffer whole;
  PixelBuffer part;
  std::mt19937 random(1);
  for (size_t i = 0; i < cases.size(); ++i) {
    EXPECT_EQ(decoder.decode(cases[i].bytes, {.keep_truncated = true}, cases[i].shrink, whole), cases[i].cut);
    const std::string got =
        std::to_string(whole.width) + " " + std::to_string(whole.height) + "\n" + std::string(whole.pixels.begin(), whole.pixels.end());
    EXPECT_TRUE(got == test::get_file(dir / (std::to_string(i) + ".rgb"))) << "case " << i << ", shrunk by " << cases[i].shrink;
    for (int n = 0; n < 40; ++n) {
      const Rect region = test::random_region(random, whole.width, whole.height);
      decoder.decode(cases[i].bytes, {.region = &region, .keep_truncated = true}, cases[i].shrink, part);
      EXPECT_TRUE(part.pixels == crop(whole, region).pixels) << "case " << i << ": " << region.width << "x" << region.height << " at " << region.x
                                                             << "," << region.y << " of " << whole.width << "x" << whole.height;
    }
  }
}

TEST(Jpeg, CorruptDataAreNotKept) {
  Bytes bad = encoded(64, 64);
  std::fill(bad.end() - 300, bad.end() - 100, 0xfe);
  bad[bad.size() - 200] = 0xff;
  bad[bad.size() - 199] = 0xd9;
  PixelBuffer out;
  EXPECT_THAT(message_of<Error>([&] { JpegDecoder().decode(bad, {.keep_truncated = true}, 1, out); }), HasSubstr("broken JPEG"));
}

TEST(Jpeg, KeepsItsBuffers) {
  JpegDecoder decoder;
  PixelBuffer out;
  decoder.decode(encoded(100, 100), out);
  const uint8_t* const before = out.pixels.data();
  decoder.decode(encoded(50, 50), out);
  decoder.decode(encoded(100, 100), out);
  EXPECT_EQ(out.pixels.data(), before);
}

std::string fault_of(const Bytes& bytes) {
  return message_of<Error>([&] {
    PixelBuffer out;
    JpegDecoder().decode(bytes, out);
  });
}

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

TEST(Jpeg, SaysWhatIsNotAJpeg) {
  EXPECT_THAT(fault_of({}), HasSubstr("0 bytes"));
  EXPECT_THAT(fault_of(bytes_of("\x89PNG\r\n\x1a\n")), HasSubstr("a PNG image"));
  EXPECT_THAT(fault_of(bytes_of("RIFF1234WEBPVP8 ")), HasSubstr("a WebP image"));
  EXPECT_THAT(fault_of(bytes_of("<!DOCTYPE html>")), HasSubstr("a web page"));
  EXPECT_THAT(fault_of(bytes_of("hello\nthere")), HasSubstr("it is text: \"hello\""));
  EXPECT_THAT(fault_of(Bytes(100, 0)), HasSubstr("begins with zero bytes"));
  EXPECT_THAT(fault_of({0xff, 0xd8, 0x00, 0x12, 0x34}), HasSubstr("first bytes are ff d8 00 12"));
  EXPECT_THAT(fault_of({0xff, 0xd8, 0xff}), HasSubstr("broken JPEG of 3 bytes"));
}

TEST(Jpeg, TruncationIsAnErrorAtEveryLength) {
  const Bytes whole = encoded(64, 64);
  for (size_t size = 3; size < whole.size(); size += 7) {
    PixelBuffer out;
    EXPECT_THROW(JpegDecoder().decode({whole.data(), size}, out), TruncatedError) << size;
  }
  const Bytes cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(whole.size() / 2 + 100));
  EXPECT_THAT(fault_of(cut), HasSubstr("truncated: Premature end"));
  EXPECT_THAT(fault_of({whole.begin(), whole.end() - 2}), HasSubstr("truncated")) << "the end marker is missing";
}

TEST(Jpeg, CorruptDataIsAnErrorAndTheDecoderGoesOn) {
  const Bytes good = encoded(64, 64);
  Bytes bad = good;
  std::fill(bad.begin() + static_cast<ptrdiff_t>(bad.size()) - 300, bad.begin() + static_cast<ptrdiff_t>(bad.size()) - 100, 0xfe);
  bad[bad.size() - 200] = 0xff;
  bad[bad.size() - 199] = 0xd9;
  JpegDecoder decoder;
  PixelBuffer first;
  PixelBuffer second;
  decoder.decode(good, first);
  EXPECT_THAT(message_of<Error>([&] { decoder.decode(bad, second); }), HasSubstr("broken JPEG"));
  decoder.decode(good, second);
  EXPECT_TRUE(first.pixels == second.pixels);
}

TEST(Jpeg, BytesBeforeTheEndMarkerAreHarmless) {
  Bytes bytes = encoded(64, 64);
  PixelBuffer clean;
  PixelBuffer padded;
  JpegDecoder decoder;
  decoder.decode(bytes, clean);
  bytes.insert(bytes.end() - 2, {0, 1, 2});
  decoder.decode(bytes, padded);
  EXPECT_TRUE(clean.pixels == padded.pixels);
}

TEST(Jpeg, TooManyPixelsAreRefusedFromTheHeader) {
  Bytes bytes = encoded(16, 16);
  PixelBuffer out;
  EXPECT_THAT(message_of<Error>([&] { JpegDecoder(255).decode(bytes, out); }), AllOf(HasSubstr("16x16"), HasSubstr("limit of 255")));
  JpegDecoder(256).decode(bytes, out);
  // A header that claims 60000 x 60000.
  for (size_t i = 0; i + 9 < bytes.size(); ++i) {
    if (bytes[i] != 0xff || bytes[i + 1] != 0xc0) continue;
    bytes[i + 5] = bytes[i + 7] = 0xea;
    bytes[i + 6] = bytes[i + 8] = 0x60;
    break;
  }
  PixelBuffer untouched;
  EXPECT_THAT(message_of<Error>([&] { JpegDecoder().decode(bytes, untouched); }), HasSubstr("60000x60000"));
  EXPECT_EQ(untouched.pixels.capacity(), 0);
}

// Found by fuzzing: a file whose damaged header lacks tables took those of the picture before it.
TEST(Jpeg, NothingIsLeftOfThePictureBefore) {
  const std::string_view hex =
      "ffd8ffe000104a46494600010100000100010000ffe100224578696600004d4d002a000000080001011200030000000100050000000000"
      "00ffdb0043000302020302020303030304030304050805050404050a070706080c0a0c0c0b0a0b0b0d0e12100d0e110e0b0b1016101113"
      "141515150c0f171816141812141514ffdb00430103040405040509050509140d0b0d141414141414141414141414141414141414141414"
      "1414141414141414141414141414141414141414141414141414141414ffc0001108001f002d03012200021101031101ffc4001f000001"
      "0501010101010100000000000000000102030405060708090a0bffc400b5030002010303020403050504040000017d0102030004110512"
      "21ff410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a434445464748"
      "494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4"
      "b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9faffc4001f01000301010101"
      "01010101010000000000000102030405060708090a0bffc400b51100020102040403040705040400010277000102031104052131061241"
      "510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a35363738393a434445464748494a53"
      "5455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6"
      "b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9faffda000c03010002110311003f00f0"
      "ff0008f802f2d6fd19a32003e95e81e26d35edec5411d057ba788fc0b0f876d9e6083e519e95f3c7c45f1af95be254ce38e95eae0b85b2"
      "9c6c5fd5aadd1f5f89c662f1391d6a99147da515bb389babe4b39f2c7a1ae934ff001b5a5fd99b146ccac36e335c4d8db37896e029f937"
      "1af68f873fb31cb73710ea8d2928086e4d7bd8a960f3ca10c873797251c3eb16bab475e55c5980e18c861384af88aab95c7d4e4fc31f02"
      "f56d47561a8a40c6263b81c57b3d8fc30d421b755319c81e95e81ad78ef4ff00869e1b10b2233c4b8ce2bc3751fdb36d6d6e9e3110e09e"
      "d5f0dc5381c6f175482c9a3cf0a4b96fe87e6184ce38a384673951c3dd557cdf79eb1e29f88965acd9bc66743b863ad79de9de00d17c4f"
      "3c8d712c7ebc9af9374cf88f29cb3047998fe35da59fc42d4acd54c533027debf50cc382f12e93a396d5f66df63edf015a79ae2a34b287"
      "ec70ff006a1d197be34db37c3cd547f640dea0ff0005751f0e7f689d7e0d196dbcb9376318a8342b55f1ba7997e3cd6ff6abb2f0578234"
      "e87c416f098576170318abc8f89326a346b70fe3f0caa622945de7dcde3c051cfb1f5a9465cbecd5d19577a86b5e3b90adf452ac2fdd81"
      "aa4df00348bb3e648ea1cf2735f6ff008afe1768fa47c344beb7b74497cbce40f6af89fc41e25bab4d4e68d2421558815f9ef09f88983c"
      "b6588a3468d92933f38cd334c5e5355e1b193f69cba2f43fffd9";
  Bytes lacking;
  for (size_t i = 0; i < hex.size(); i += 2) lacking.push_back(static_cast<uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  Bytes no_quantisation = encoded(40, 40);
  for (size_t i = 0; i + 1 < no_quantisation.size(); ++i) {
    if (no_quantisation[i] == 0xff && no_quantisation[i + 1] == 0xdb) no_quantisation[i + 1] = 0xef;  // another kind of segment
  }
  for (const Bytes& bytes : {lacking, no_quantisation}) {
    PixelBuffer fresh, used;
    const std::string expected = message_of<Error>([&] { JpegDecoder().decode(bytes, fresh); });
    JpegDecoder decoder;
    for (const Bytes& before : {encoded(64, 64), encoded(30, 30, 1), test::encode_odd_jpeg(make_image(50, 50, 3, 1), {.progressive = true})}) {
      decoder.decode(before, used);
      EXPECT_EQ(message_of<Error>([&] { decoder.decode(bytes, used); }), expected);
      if (expected == "(nothing was thrown)") {
        EXPECT_TRUE(used.pixels == fresh.pixels);
      }
    }
  }
}

TEST(Jpeg, RegionsOutsideAreRefused) {
  const Bytes bytes = encoded(20, 30);
  JpegDecoder decoder;
  PixelBuffer out;
  for (const Rect& region : {Rect{0, 0, 31, 1}, Rect{0, 0, 1, 21}, Rect{-1, 0, 5, 5}, Rect{0, -1, 5, 5}, Rect{5, 5, 0, 5}, Rect{5, 5, 5, -1},
                             Rect{30, 0, 1, 1}, Rect{1, 1, INT32_MAX, 1}}) {
    EXPECT_THAT(message_of<Error>([&] { decoder.decode(bytes, region, out); }), HasSubstr("not inside the JPEG of 30x20"));
  }
}

TEST(Jpeg, EncodesTheSameBytesAndWhatPillowReads) {
  EXPECT_EQ(encoded(33, 57), encoded(33, 57));
  Bytes low;
  Bytes high;
  const PixelBuffer image = make_image(64, 64, 3, 5);
  encode_jpeg(image.view(), 50, low);
  encode_jpeg(image.view(), 100, high, ChromaSampling::s444);
  EXPECT_LT(low.size(), high.size());
  PixelBuffer decoded;
  JpegDecoder().decode(high, decoded);
  int worst = 0;
  for (size_t i = 0; i < image.pixels.size(); ++i) worst = std::max(worst, std::abs(image.pixels[i] - decoded.pixels[i]));
  EXPECT_LE(worst, 6);
  EXPECT_THAT(message_of<Error>([&] { encode_jpeg(image.view(), 0, low); }), HasSubstr("quality 0"));
  EXPECT_THAT(message_of<Error>([&] { encode_jpeg({image.pixels.data(), 4, 4, 4}, 90, low); }), HasSubstr("4 channels"));
  EXPECT_THAT(message_of<Error>([&] { encode_jpeg({image.pixels.data(), 0, 4, 3}, 90, low); }), HasSubstr("cannot encode"));
}

}  // namespace
}  // namespace flowrun::io
