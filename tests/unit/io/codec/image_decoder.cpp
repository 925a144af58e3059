#include "io/codec/image_decoder.h"

#include <gmock/gmock.h>

#include "io/codec/jpeg.h"
#include "io/codec/png.h"
#include "io/codec/webp.h"
#include "io/error.h"
#include "support/io_images.h"
#include "support/io_jpeg.h"
#include "support/io_python.h"
#include "tests/support/places.h"

namespace flowrun::io {
namespace {

using test::crop;
using test::make_image;
using test::message_of;
using testing::HasSubstr;

using Bytes = std::vector<uint8_t>;

/// Every file of tests/support/image_files.py; and what Pillow makes of it, written beside it by SCRIPT.
class ImageDecoderFiles : public testing::Test {
 protected:
  void SetUp() override {
    test::require_python("PIL.Image");
    if (IsSkipped()) return;
    test::run_python(dir_.path(), test::get_file(flowrun::test::source_dir() / "tests/support/image_files.py"));
    for (const std::string& name : test::names_in(dir_.path())) {
      if (is_image_name(name) && !name.starts_with("deep-")) names_.push_back(name);
    }
    ASSERT_GT(names_.size(), 150);
  }

  Bytes load(const std::string& name) const { return test::load(dir_ / name); }

  /// Runs SCRIPT, which sets `image` from `name`, for all NAMES; then compares.
  void expect_as_pillow(const std::vector<std::string>& names, const std::string& script, const DecodeOptions& options) {
    std::string list;
    for (const std::string& name : names) list += name + "\n";
    test::put_file(dir_ / "list", list);
    test::run_python(dir_.path(), "import numpy\nfrom PIL import Image, ImageFile, ImageOps\nfor name in open('list').read().split():\n" + script +
                                      "    open(name + '.rgb', 'wb').write(f'{image.width} {image.height}\\n'.encode() + image.tobytes())\n");
    size_t compared = 0;
    for (const std::string& name : names) {
      if (!std::filesystem::exists(dir_ / (name + ".rgb"))) continue;
      ++compared;
      PixelBuffer out;
      const Decoded decoded = decoder_.decode(load(name), options, out);
      EXPECT_EQ(decoded.truncated, options.keep_truncated) << name;
      EXPECT_EQ(decoded.covers, (Rect{0, 0, out.width, out.height}));
      const std::string got = std::to_string(out.width) + " " + std::to_string(out.height) + "\n" + std::string(out.pixels.begin(), out.pixels.end());
      EXPECT_TRUE(got == test::get_file(dir_ / (name + ".rgb"))) << name;
    }
    EXPECT_GT(compared, names.size() * 3 / 4);
  }

  void expect_regions_equal_whole(const std::string& name, const Bytes& bytes, DecodeOptions options, int regions) {
    std::mt19937 random(1);
    PixelBuffer whole, part;
    decoder_.decode(bytes, options, whole);
    const int w = whole.width, h = whole.height;
    std::vector<Rect> all = {{0, 0, 1, 1}, {w - 1, h - 1, 1, 1}, {w - 1, 0, 1, h}, {0, h - 1, w, 1},
                             {0, 0, w, h}, {w / 2, 0, 1, h},     {0, h / 2, w, 1}};
    for (int i = 0; i < regions; ++i) all.push_back(test::random_region(random, w, h));
    for (const Rect& region : all) {
      options.region = region;
      const Decoded decoded = decoder_.decode(bytes, options, part);
      EXPECT_EQ(decoded.covers, region);
      ASSERT_TRUE(part.pixels == crop(whole, region).pixels)
          << name << ": " << region.width << "x" << region.height << " at " << region.x << "," << region.y << " of " << w << "x" << h;
    }
  }

  test::TemporaryDirectory dir_;
  std::vector<std::string> names_;
  ImageDecoder decoder_;
};

TEST_F(ImageDecoderFiles, AreDecodedAsPillowDoes) {
  // Gray of 16 bits: the upper 8, where Pillow cuts off at 255. TIFF is turned by Pillow in any case.
  expect_as_pillow(names_,
                   "    if name.startswith('turned') and name.endswith('.tif'): continue\n"
                   "    image = Image.open(name)\n"
                   "    if image.mode.startswith('I;16'): image = Image.fromarray((numpy.asarray(image) >> 8).astype('uint8'))\n"
                   "    image = image.convert('RGB')\n",
                   {});
}

TEST_F(ImageDecoderFiles, AreTurnedAsExifTransposeDoes) {
  std::vector<std::string> turned;
  for (const std::string& name : names_) {
    if (!name.starts_with("turned-")) continue;
    turned.push_back(name);
    EXPECT_EQ(read_image_info(load(name)).orientation, name[7] - '0') << name;
  }
  ASSERT_EQ(turned.size(), 32);
  expect_as_pillow(turned,
                   "    image = Image.open(name)\n"
                   "    image.load()\n"
                   "    image = ImageOps.exif_transpose(image).convert('RGB')\n",
                   {.apply_orientation = true});
}

TEST_F(ImageDecoderFiles, RegionsEqualTheWhole) {
  for (const std::string& name : names_) {
    for (const bool turned : {false, true}) {
      if (turned && !name.starts_with("turned-")) continue;
      expect_regions_equal_whole(name, load(name), {.apply_orientation = turned}, 60);
    }
  }
}

TEST_F(ImageDecoderFiles, TruncationIsToldApartAndKept) {
  std::vector<std::string> cut;
  for (const std::string& name : names_) {
    const Bytes whole = load(name);
    for (const double part : {0.6, 0.9}) {
      const Bytes bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(static_cast<double>(whole.size()) * part));
      PixelBuffer out, again;
      // With several frames or pages the first may be complete, and a cut in a small PNG may only remove its end.
      if (name == "gif-animation.gif" || name == "tiff-pages.tif") continue;
      if (part == 0.9 && name.starts_with("png-") && whole.size() - bytes.size() <= 12) continue;
      EXPECT_THROW(decoder_.decode(bytes, {}, out), TruncatedError) << name;
      try {
        EXPECT_TRUE(decoder_.decode(bytes, {.keep_truncated = true}, out).truncated) << name;
        // The buffer's earlier contents must not show.
        std::fill(out.pixels.begin(), out.pixels.end(), 77);
        decoder_.decode(bytes, {.keep_truncated = true}, out);
        ImageDecoder().decode(bytes, {.keep_truncated = true}, again);
        EXPECT_TRUE(out.pixels == again.pixels) << name;
        // A PNG's missing pixels are black, in Pillow too, whose zlib gives the rows that are complete; JPEG: see jpeg.cpp.
        expect_regions_equal_whole(name, bytes, {.keep_truncated = true}, 10);
        const std::string file = std::to_string(part) + name;
        test::put_file(dir_ / file, std::string(bytes.begin(), bytes.end()));
        // For palettes they are Pillow's first colour; for CMYK in several scans Pillow gives nothing.
        const bool same = name.starts_with("png-2") || name.starts_with("png-6") || name.starts_with("png-4") || name.starts_with("jpeg-");
        if (name == "jpeg-CMYK-444-progressive.jpg") continue;
        if (same) cut.push_back(file);
      } catch (const TruncatedError& error) {
        EXPECT_THAT(error.what(), HasSubstr("truncated")) << name;  // within the header
      }
    }
  }
  EXPECT_GT(cut.size(), 20);
  expect_as_pillow(cut,
                   "    ImageFile.LOAD_TRUNCATED_IMAGES = True\n"
                   "    try: image = Image.open(name).convert('RGB')\n"
                   "    except OSError: continue  # Pillow refuses what ends between two scans\n",
                   {.keep_truncated = true});
}

TEST_F(ImageDecoderFiles, CorruptFilesAreErrorsAndNotKept) {
  for (const std::string name : {"png-2-8.png", "webp-lossless-45x31.webp", "jpeg-RGB-420.jpg"}) {
    Bytes bytes = load(name);
    for (size_t i = bytes.size() * 3 / 4; i < bytes.size() * 3 / 4 + 40; ++i) bytes[i] = i % 2 ? 0xff : 0xc4;
    PixelBuffer out;
    for (const bool keep : {false, true}) {
      const std::string fault = message_of<Error>([&] { decoder_.decode(bytes, {.keep_truncated = keep}, out); });
      EXPECT_THAT(fault, HasSubstr("broken ")) << name;
      EXPECT_THAT(fault, testing::Not(HasSubstr("truncated"))) << name;
    }
  }
}

TEST_F(ImageDecoderFiles, OneFormatsDecoderNamesTheOther) {
  PixelBuffer scratch, out;
  EXPECT_THAT(message_of<Error>([&] { decode_webp(load("png-2-8.png"), {}, scratch, out); }), HasSubstr("not a WebP: it looks like a PNG image"));
  EXPECT_THAT(message_of<Error>([&] { decode_png(load("jpeg-restart.jpg"), {}, scratch, out); }), HasSubstr("not a PNG: it looks like a JPEG image"));
  for (const std::string name : {"png-2-8.png", "webp-lossy-45x31.webp", "jpeg-RGB-420.jpg", "gif-plain.gif", "tiff-rgb8-le.tif"}) {
    EXPECT_THAT(message_of<Error>([&] { decoder_.decode(load(name), {.max_pixels = 100}, out); }), HasSubstr("45x31 pixels exceeds the limit"))
        << name;
    EXPECT_THAT(message_of<Error>([&] { decoder_.decode(load(name), {.region = Rect{40, 0, 6, 1}}, out); }), HasSubstr("not inside the ")) << name;
  }
}

// The area shown of a picture that is shrunk while decoding, in pixels of the whole: exact to the left and above, and
// never less than the request.
TEST(ImageDecoder, ShrinksWhileBothSidesSuffice) {
  const Bytes bytes = test::encode_odd_jpeg(make_image(181, 250, 3, 1), {2, 2});
  ImageDecoder decoder;
  PixelBuffer out, whole;
  for (const auto& [side, shrink] : {std::pair(0, 1), std::pair(91, 1), std::pair(90, 2), std::pair(46, 2), std::pair(45, 4), std::pair(10, 4)}) {
    const Decoded decoded = decoder.decode(bytes, {.least_side = side}, out);
    EXPECT_EQ(decoded.shrink, shrink);
    EXPECT_EQ(std::pair(out.width, out.height), std::pair((250 + shrink - 1) / shrink, (181 + shrink - 1) / shrink));
    EXPECT_EQ(decoded.covers, (Rect{0, 0, out.width * shrink, out.height * shrink}));
  }
  decoder.decode(bytes, {.least_side = 45}, whole);
  std::mt19937 random(1);
  for (int i = 0; i < 200; ++i) {
    const Rect region = test::random_region(random, 250, 181);
    const Decoded decoded = decoder.decode(bytes, {.region = region, .least_side = 20}, out);
    const Rect& c = decoded.covers;
    EXPECT_EQ(std::min(region.width, region.height) / decoded.shrink >= 20 || decoded.shrink == 1, true);
    EXPECT_TRUE(c.x <= region.x && c.y <= region.y && c.x + c.width >= region.x + region.width && c.y + c.height >= region.y + region.height);
    EXPECT_LT(std::max(region.x - c.x, region.y - c.y), decoded.shrink);
    EXPECT_EQ(std::pair(c.width, c.height), std::pair(out.width * decoded.shrink, out.height * decoded.shrink));
    if (decoded.shrink != 4) continue;
    EXPECT_TRUE(out.pixels == crop(whole, {c.x / 4, c.y / 4, out.width, out.height}).pixels);
  }
}

// Rectangles go to the stored picture and back; pixels go where the rectangles say.
TEST(ImageDecoder, RectanglesTurnAsPixelsDo) {
  const PixelBuffer stored = make_image(5, 7, 3, 1);
  PixelBuffer turned, part;
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const ImageInfo info{.width = 7, .height = 5, .orientation = orientation};
    turn(stored, orientation, turned);
    EXPECT_EQ((Rect{0, 0, turned.width, turned.height}), turned_size(info));
    std::mt19937 random(1);
    for (int i = 0; i < 50; ++i) {
      const Rect region = test::random_region(random, turned.width, turned.height);
      const Rect there = stored_rect(region, info);
      EXPECT_EQ(turned_rect(there, info), region);
      turn(crop(stored, there), orientation, part);
      EXPECT_TRUE(part.pixels == crop(turned, region).pixels) << orientation;
    }
  }
}

TEST(ImageDecoder, KeepsItsBuffers) {
  Bytes jpeg;
  encode_jpeg(make_image(80, 90, 3, 1).view(), 90, jpeg);
  const Bytes png = encode_png(make_image(80, 90, 3, 1).view());
  ImageDecoder decoder;
  PixelBuffer out;
  decoder.decode(jpeg, {}, out);
  const uint8_t* const before = out.pixels.data();
  decoder.decode(png, {.region = Rect{1, 2, 30, 40}}, out);
  decoder.decode(jpeg, {.region = Rect{1, 2, 30, 40}}, out);
  EXPECT_EQ(out.pixels.data(), before);
}

// Another decoder for JPEGs: asked for the region as it is stored, with libjpeg behind it; never for what is shrunk, or no JPEG.
TEST(ImageDecoder, AnotherDecoderOfJpegsIsAskedFirst) {
  struct Blue final : JpegBackend {
    bool decode(std::span<const uint8_t>, const ImageInfo& info, const Rect& region, PixelBuffer& out) const override {
      asked.push_back(region);
      if (info.width != 64) return false;
      out.reshape(region.height, region.width, 3);
      std::fill(out.pixels.begin(), out.pixels.end(), 7);
      return true;
    }
    mutable std::vector<Rect> asked;
  } blue;
  const PixelBuffer image = make_image(48, 64, 3, 1), other = make_image(48, 65, 3, 1);
  Bytes jpeg, declined;
  const Bytes png = encode_png(image.view());
  encode_jpeg(image.view(), 90, jpeg), encode_jpeg(other.view(), 90, declined);
  ImageDecoder decoder;
  PixelBuffer out, expected;
  decoder.decode(jpeg, {.jpeg = &blue}, out);
  EXPECT_TRUE(out.width == 64 && out.height == 48 && out.pixels == Bytes(out.pixels.size(), 7));
  ImageInfo turned = read_image_info(jpeg);
  turned.orientation = 6;
  const Decoded part = decoder.decode(jpeg, turned, {.region = Rect{10, 20, 5, 7}, .apply_orientation = true, .jpeg = &blue}, out);
  EXPECT_TRUE(out.width == 5 && out.height == 7 && out.pixels == Bytes(out.pixels.size(), 7));
  EXPECT_EQ(part.covers, (Rect{10, 20, 5, 7}));
  decoder.decode(declined, {.jpeg = &blue}, out);
  decoder.decode(declined, {}, expected);
  EXPECT_TRUE(out.pixels == expected.pixels);
  decoder.decode(jpeg, {.least_side = 20, .jpeg = &blue}, out);
  EXPECT_EQ(out.width, 32);
  decoder.decode(png, {.jpeg = &blue}, out);
  EXPECT_TRUE(out.pixels == image.pixels);
  EXPECT_EQ(blue.asked, (std::vector<Rect>{{0, 0, 64, 48}, stored_rect({10, 20, 5, 7}, turned), {0, 0, 65, 48}}));
}

}  // namespace
}  // namespace flowrun::io
