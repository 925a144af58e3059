#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "io/codec/image.h"

namespace flowrun::io {

enum class ImageFormat { jpeg, png, webp, gif, tiff };

// "JPEG", "PNG", "WebP", "GIF", "TIFF"; and all of them, for messages.
const char* format_name(ImageFormat format);
inline constexpr const char* format_names = "JPEG, PNG, WebP, GIF or TIFF";

struct ImageInfo {
  ImageFormat format = ImageFormat::jpeg;
  int width = 0;  // as stored, before any rotation
  int height = 0;
  int channels = 0;          // as stored; palettes count as 1, alpha as one more
  int orientation = 1;       // EXIF's, 1 to 8; 1 when it is missing or invalid
  bool progressive = false;  // of a JPEG
};

// The size from which Pillow suspects a decompression bomb.
inline constexpr int64_t default_max_pixels = 178'956'970;

// Values of samples with more than 8 bits.
struct SampleRange {
  double low = 0, high = 0;
  bool operator==(const SampleRange&) const = default;
};

// A request to the decoder of one format.
struct DecodeRequest {
  const Rect* region = nullptr;  // null: everything
  bool keep_truncated = false;   // a picture that ends too early is decoded as far as it goes, the rest filled
  int64_t max_pixels = default_max_pixels;
  std::optional<SampleRange> range = {};  // of deep samples, which becomes 0 to 255; without it, all that 16 bits hold
};

// Results besides the pixels.
struct Found {
  bool truncated = false;                // the file ends too early, and what there is was kept
  std::optional<SampleRange> deep = {};  // the smallest and largest value read, where samples have more than 8 bits
};

// The format, by the first bytes, independent of the file's name. Throws Error on other formats, naming the likely one.
ImageFormat recognise_format(std::span<const uint8_t> bytes);

// Reads only the header, by going over markers or chunks: far less work than decoding. The decoder may still refuse a picture
// whose header could be read. Throws Error on other formats and on broken headers, TruncatedError when it ends within them.
ImageInfo read_image_info(std::span<const uint8_t> bytes);

// Whether a file of that name (or path) is taken for a picture where folders, lists and shards are searched, in any case:
// .jpg, .jpeg, .jpe, .jfif, .png, .webp, .gif, .tif and .tiff. Its format is told only by its bytes.
bool is_image_name(std::string_view name);

// Those extensions, for messages: ".jpg, .jpeg, … and .tiff", or with "or" before the last.
std::string image_extensions(std::string_view before_last = "and");

// Whether a name is that of a picture in a format that is not read: .bmp, .heic, .avif, .jp2, .svg, camera raw and
// others.
bool is_unread_image_name(std::string_view name);

// The likely kind of the bytes: "it looks like a BMP image", "it is text: …".
std::string describe_content(std::span<const uint8_t> bytes);

// The orientation that an EXIF block (TIFF, from its "II" or "MM") holds in its first directory; 1 when it has none or
// is broken. Reads nothing outside.
int exif_orientation(std::span<const uint8_t> tiff);

// The requested region. Throws Error when the picture is larger than max_pixels, or the region is not inside it.
Rect checked_region(const DecodeRequest& request, ImageFormat format, int64_t width, int64_t height);

}  // namespace flowrun::io
