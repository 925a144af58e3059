#include "io/codec/image_format.h"

#include <gmock/gmock.h>

#include "io/codec/jpeg.h"
#include "io/codec/png.h"
#include "io/error.h"
#include "support/io_images.h"
#include "support/io_jpeg.h"
#include "support/io_python.h"

namespace flowrun::io {
namespace {

using test::make_image;
using test::message_of;
using testing::HasSubstr;

using Bytes = std::vector<uint8_t>;

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

TEST(ImageFormat, InfoOfAJpeg) {
  Bytes bytes;
  encode_jpeg(make_image(30, 50, 3, 1).view(), 90, bytes);
  const ImageInfo info = read_image_info(bytes);
  EXPECT_EQ(std::tuple(info.format, info.width, info.height, info.channels), std::tuple(ImageFormat::jpeg, 50, 30, 3));
  EXPECT_EQ(std::tuple(info.orientation, info.progressive), std::tuple(1, false));
  EXPECT_TRUE(read_image_info(test::encode_odd_jpeg(make_image(9, 9, 3, 1), {.progressive = true})).progressive);
  bytes.resize(100);
  EXPECT_THAT(message_of<TruncatedError>([&] { read_image_info(bytes); }), HasSubstr("broken JPEG of 100 bytes: truncated"));
  encode_jpeg(make_image(30, 50, 1, 1).view(), 90, bytes);
  EXPECT_EQ(read_image_info(bytes).channels, 1);
  for (size_t i = 0; i + 9 < bytes.size(); ++i) {
    if (bytes[i] == 0xff && bytes[i + 1] == 0xc0) bytes[i + 5] = bytes[i + 6] = 0;
  }
  EXPECT_THAT(message_of<Error>([&] { read_image_info(bytes); }), HasSubstr("size of 50x0"));
  EXPECT_THAT(message_of<Error>([&] { read_image_info(Bytes{0xff, 0xd8, 0xff, 0xd9, 1, 2}); }), HasSubstr("gives no size"));
}

TEST(ImageFormat, NamesOfPictures) {
  for (const char* name : {"a.jpg", "b/a.JPEG", "a.b.jpe", "a.Jfif", "a.png", "a.webp", "a.gif", "a.tif", "a.TIFF", "dir.bmp/a.png", "caf\xe9.jpg"}) {
    EXPECT_TRUE(is_image_name(name)) << name;
    EXPECT_FALSE(is_unread_image_name(name)) << name;
  }
  for (const char* name : {"a.bmp", "b/a.HEIC", "a.avif", "a.jp2", "a.svg", "a.ppm"}) {
    EXPECT_FALSE(is_image_name(name)) << name;
    EXPECT_TRUE(is_unread_image_name(name)) << name;
  }
  for (const char* name : {"", "jpg", ".jpg", "b/.png", "a.jpg.txt", "a.jpg/b", "a.", "a.npy", "jpg.json"}) {
    EXPECT_FALSE(is_image_name(name)) << name;
    EXPECT_FALSE(is_unread_image_name(name)) << name;
  }
  EXPECT_EQ(image_extensions(), ".jpg, .jpeg, .jpe, .jfif, .png, .webp, .gif, .tif and .tiff");
  EXPECT_EQ(image_extensions("or"), ".jpg, .jpeg, .jpe, .jfif, .png, .webp, .gif, .tif or .tiff");
}

TEST(ImageFormat, InfoOfAPng) {
  const Bytes bytes = encode_png(make_image(30, 50, 4, 1).view());
  const ImageInfo info = read_image_info(bytes);
  EXPECT_EQ(std::tuple(info.format, info.width, info.height, info.channels), std::tuple(ImageFormat::png, 50, 30, 4));
  EXPECT_THROW(read_image_info(std::span(bytes).first(30)), TruncatedError);
}

TEST(ImageFormat, SaysWhatIsNoImage) {
  const auto fault = [](const Bytes& bytes) { return message_of<Error>([&] { read_image_info(bytes); }); };
  EXPECT_THAT(fault({}), HasSubstr("not a JPEG, PNG, WebP, GIF or TIFF image: empty, 0 bytes"));
  EXPECT_THAT(fault(bytes_of("BM123456")), HasSubstr("it looks like a BMP image; convert it, to PNG for example"));
  EXPECT_THAT(fault(bytes_of("1234ftypheic")), HasSubstr("a HEIC, AVIF or MP4 file; convert it"));
  EXPECT_THAT(fault(bytes_of("<!DOCTYPE html>")), testing::EndsWith("a web page"));
  EXPECT_THAT(fault(bytes_of("RIFF1234AVI LIST")), HasSubstr("it is text"));
  EXPECT_THAT(fault(Bytes(50, 0)), HasSubstr("zero bytes"));
  EXPECT_THAT(fault({'I', 'I', '*', 0, 1}), HasSubstr("broken TIFF of 5 bytes: truncated"));
  EXPECT_THAT(fault(bytes_of("GIF89a")), HasSubstr("broken GIF of 6 bytes: truncated"));
  EXPECT_THAT(fault(bytes_of("RIFF\x04")), HasSubstr("first bytes are 52 49 46 46"));
  EXPECT_THAT(fault(bytes_of(std::string("RIFF\x20\0\0\0WEBPVP8 ", 16))), HasSubstr("broken WebP of 16 bytes: truncated"));
}

/// A TIFF block with one entry, in the byte order MARK.
Bytes tiff(char mark, uint32_t tag, uint32_t type, uint32_t count, Bytes value, uint32_t directory = 8) {
  Bytes out = {static_cast<uint8_t>(mark), static_cast<uint8_t>(mark)};
  const auto put = [&](uint32_t number, size_t size) {
    for (size_t i = 0; i < size; ++i) out.push_back(static_cast<uint8_t>(number >> 8 * (mark == 'I' ? i : size - 1 - i)));
  };
  put(42, 2), put(directory, 4), put(1, 2), put(tag, 2), put(type, 2), put(count, 4);
  out.insert(out.end(), value.begin(), value.end());
  put(0, 4);
  return out;
}

TEST(ImageFormat, OrientationInBothByteOrders) {
  EXPECT_EQ(exif_orientation(tiff('I', 0x112, 3, 1, {6, 0, 0, 0})), 6);
  EXPECT_EQ(exif_orientation(tiff('M', 0x112, 3, 1, {0, 6, 0, 0})), 6);
  EXPECT_EQ(exif_orientation(tiff('I', 0x112, 4, 1, {8, 0, 0, 0})), 8);
  EXPECT_EQ(exif_orientation(tiff('M', 0x112, 4, 1, {0, 0, 0, 8})), 8);
  EXPECT_EQ(exif_orientation(tiff('M', 0x112, 1, 1, {3, 0, 0, 0})), 3);
}

TEST(ImageFormat, OrientationThatMakesNoSenseIsNone) {
  EXPECT_EQ(exif_orientation({}), 1);
  EXPECT_EQ(exif_orientation(tiff('I', 0x112, 3, 1, {9, 0, 0, 0})), 1);
  EXPECT_EQ(exif_orientation(tiff('I', 0x112, 3, 1, {0, 0, 0, 0})), 1);
  EXPECT_EQ(exif_orientation(tiff('I', 0x113, 3, 1, {6, 0, 0, 0})), 1);
  EXPECT_EQ(exif_orientation(tiff('I', 0x112, 5, 1, {6, 0, 0, 0})), 1);
  EXPECT_EQ(exif_orientation(tiff('I', 0x112, 3, 2, {6, 0, 0, 0})), 1);
  for (const uint32_t directory : {24u, 25u, 26u, 1000u, 0x7fffffffu, 0xffffffffu}) {
    EXPECT_EQ(exif_orientation(tiff('I', 0x112, 3, 1, {6, 0, 0, 0}, directory)), 1) << directory;
  }
  const Bytes whole = tiff('M', 0x112, 3, 1, {0, 6, 0, 0});
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(exif_orientation(Bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size))), size >= 22 ? 6 : 1) << size;
  }
}

}  // namespace
}  // namespace flowrun::io
