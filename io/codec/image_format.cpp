#include "io/codec/image_format.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <webp/decode.h>

#include "io/codec/gif.h"
#include "io/codec/tiff.h"
#include "io/error.h"

namespace flowrun::io {

namespace {

using Bytes = std::span<const uint8_t>;

bool starts_with(Bytes bytes, std::string_view mark) {
  return bytes.size() >= mark.size() && std::memcmp(bytes.data(), mark.data(), mark.size()) == 0;
}

uint32_t big_endian(Bytes bytes, size_t at, size_t count) {
  uint32_t value = 0;
  for (size_t i = 0; i < count; ++i) value = value << 8 | bytes[at + i];
  return value;
}

uint32_t little_endian(Bytes bytes, size_t at, size_t count) {
  uint32_t value = 0;
  for (size_t i = count; i-- > 0;) value = value << 8 | bytes[at + i];
  return value;
}

std::string broken(const char* format, Bytes bytes) { return std::string("broken ") + format + " of " + std::to_string(bytes.size()) + " bytes: "; }

TruncatedError cut_header(const char* format, Bytes bytes) { return TruncatedError(broken(format, bytes) + "truncated: it ends within its header"); }

std::string as_hex(Bytes bytes) {
  std::string text;
  for (const uint8_t byte : bytes) {
    char hex[4];
    snprintf(hex, sizeof hex, "%s%02x", text.empty() ? "" : " ", byte);
    text += hex;
  }
  return text;
}

constexpr std::string_view exif_mark("Exif\0\0", 6);
constexpr std::string_view png_mark("\x89PNG\r\n\x1a\n", 8);

// The EXIF block of a chunk; some writers put JPEG's mark in front.
int chunk_orientation(Bytes block) { return exif_orientation(starts_with(block, exif_mark) ? block.subspan(exif_mark.size()) : block); }

bool is_frame_header(uint8_t marker) { return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc; }

// Goes over the markers up to the first scan, as libjpeg does, but without a decoder.
ImageInfo read_jpeg(Bytes bytes) {
  constexpr uint8_t app1 = 0xe1, start_of_image = 0xd8, end_of_image = 0xd9, start_of_scan = 0xda;
  ImageInfo info{.format = ImageFormat::jpeg};
  bool framed = false, has_exif = false;
  size_t at = 2;
  while (true) {
    while (at < bytes.size() && bytes[at] != 0xff) ++at;
    while (at < bytes.size() && bytes[at] == 0xff) ++at;
    if (at >= bytes.size()) break;
    const uint8_t marker = bytes[at++];
    if (marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd7)) continue;  // no length follows
    if (marker >= start_of_image && marker <= start_of_scan) break;
    static_assert(end_of_image == start_of_image + 1);
    if (bytes.size() - at < 2) {
      at = bytes.size();
      break;
    }
    const size_t length = big_endian(bytes, at, 2);
    if (length < 2) break;
    const Bytes segment = bytes.subspan(at + 2, std::min(length, bytes.size() - at) - 2);
    if (is_frame_header(marker) && !framed && segment.size() >= 6) {
      framed = true;
      info.progressive = marker == 0xc2 || marker == 0xca;
      info.height = static_cast<int>(big_endian(segment, 1, 2));
      info.width = static_cast<int>(big_endian(segment, 3, 2));
      info.channels = segment[5];
    } else if (marker == app1 && !has_exif && starts_with(segment, exif_mark)) {
      has_exif = true;
      info.orientation = exif_orientation(segment.subspan(exif_mark.size()));
    }
    if (length > bytes.size() - at) {
      at = bytes.size();
      break;
    }
    at += length;
  }
  if (!framed && at >= bytes.size()) throw cut_header("JPEG", bytes);
  if (!framed) throw Error(broken("JPEG", bytes) + "its header gives no size");
  if (info.width == 0 || info.height == 0)
    throw Error(broken("JPEG", bytes) + "its header gives a size of " + std::to_string(info.width) + "x" + std::to_string(info.height));
  return info;
}

ImageInfo read_png(Bytes bytes) {
  constexpr size_t header_end = 33;  // signature, and IHDR with its checksum
  if (bytes.size() < header_end) throw cut_header("PNG", bytes);
  const uint32_t width = big_endian(bytes, 16, 4), height = big_endian(bytes, 20, 4);
  if (!starts_with(bytes.subspan(12), "IHDR") || width == 0 || height == 0 || width > INT32_MAX || height > INT32_MAX) {
    throw Error(broken("PNG", bytes) + "its header gives no size");
  }
  constexpr int channels[] = {1, 0, 3, 1, 2, 0, 4};
  const uint8_t colour = bytes[25];
  ImageInfo info{.format = ImageFormat::png,
                 .width = static_cast<int>(width),
                 .height = static_cast<int>(height),
                 .channels = colour < std::size(channels) ? channels[colour] : 0};
  // EXIF may follow the pixels, too.
  for (size_t at = header_end; bytes.size() - at >= 12;) {
    const size_t length = big_endian(bytes, at, 4);
    if (length > bytes.size() - at - 12) break;
    if (starts_with(bytes.subspan(at + 4), "eXIf")) {
      info.orientation = chunk_orientation(bytes.subspan(at + 8, length));
      break;
    }
    at += length + 12;
  }
  return info;
}

ImageInfo read_webp(Bytes bytes) {
  WebPBitstreamFeatures features;
  const VP8StatusCode status = WebPGetFeatures(bytes.data(), bytes.size(), &features);
  if (status == VP8_STATUS_NOT_ENOUGH_DATA) throw cut_header("WebP", bytes);
  if (status != VP8_STATUS_OK || features.width < 1 || features.height < 1) throw Error(broken("WebP", bytes) + "its header makes no sense");
  ImageInfo info{.format = ImageFormat::webp, .width = features.width, .height = features.height, .channels = features.has_alpha != 0 ? 4 : 3};
  if (!starts_with(bytes.subspan(12), "VP8X")) return info;  // only the extended format has chunks beside the pixels
  for (size_t at = 12; bytes.size() - at >= 8;) {
    const size_t length = little_endian(bytes, at + 4, 4);
    if (length > bytes.size() - at - 8) break;
    if (starts_with(bytes.subspan(at), "EXIF")) {
      info.orientation = chunk_orientation(bytes.subspan(at + 8, length));
      break;
    }
    const size_t padded = length + length % 2;
    if (padded > bytes.size() - at - 8) break;
    at += 8 + padded;
  }
  return info;
}

}  // namespace

const char* format_name(ImageFormat format) {
  switch (format) {
    case ImageFormat::jpeg:
      return "JPEG";
    case ImageFormat::png:
      return "PNG";
    case ImageFormat::webp:
      return "WebP";
    case ImageFormat::gif:
      return "GIF";
    case ImageFormat::tiff:
      break;
  }
  return "TIFF";
}

std::string describe_content(Bytes bytes) {
  struct Magic {
    size_t offset;
    std::string_view mark;
    const char* name;
  };
  static constexpr Magic magics[] = {{0, "\xff\xd8\xff", "a JPEG image"},
                                     {0, "\x89PNG", "a PNG image"},
                                     {0, "GIF8", "a GIF image"},
                                     {8, "WEBP", "a WebP image"},
                                     {0, "BM", "a BMP image"},
                                     {0, {"II*\0", 4}, "a TIFF image"},
                                     {0, {"MM\0*", 4}, "a TIFF image"},
                                     {0, {"II+\0", 4}, "a TIFF image"},
                                     {0, {"MM\0+", 4}, "a TIFF image"},
                                     {0, "P5", "a PGM image"},
                                     {0, "P6", "a PPM image"},
                                     {0, "8BPS", "a Photoshop file"},
                                     {0, "\x76\x2f\x31\x01", "an OpenEXR image"},
                                     {0, {"\xff\x0a", 2}, "a JPEG XL image"},
                                     {0, {"\0\0\0\x0cJXL ", 8}, "a JPEG XL image"},
                                     {0, {"\0\0\0\x0cjP", 6}, "a JPEG 2000 image"},
                                     {4, "ftyp", "a HEIC, AVIF or MP4 file"},
                                     {0, "\x1f\x8b", "gzip data"},
                                     {0, "PK\3\4", "a zip archive"},
                                     {0, "<!DOCTYPE", "a web page"},
                                     {0, "<html", "a web page"},
                                     {0, "<svg", "an SVG drawing"},
                                     {0, "%PDF", "a PDF document"}};
  if (bytes.empty()) return "empty, 0 bytes";
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const Magic& magic : magics) {
    if (text.substr(std::min(magic.offset, text.size())).starts_with(magic.mark)) return std::string("it looks like ") + magic.name;
  }
  const std::string_view start = text.substr(0, 16);
  if (std::all_of(start.begin(), start.end(), [](char c) { return c == 0; })) return "it begins with zero bytes";
  if (std::all_of(start.begin(), start.end(), [](char c) { return (c >= ' ' && c <= '~') || c == '\n' || c == '\r'; })) {
    return "it is text: \"" + std::string(start.substr(0, start.find_first_of("\r\n"))) + "\"";
  }
  return "its first bytes are " + as_hex(bytes.first(std::min<size_t>(bytes.size(), 4)));
}

ImageFormat recognise_format(Bytes bytes) {
  if (starts_with(bytes, "\xff\xd8\xff")) return ImageFormat::jpeg;
  if (starts_with(bytes, png_mark)) return ImageFormat::png;
  if (starts_with(bytes, "RIFF") && bytes.size() >= 12 && starts_with(bytes.subspan(8), "WEBP")) return ImageFormat::webp;
  if (starts_with(bytes, "GIF87a") || starts_with(bytes, "GIF89a")) return ImageFormat::gif;
  for (const std::string_view mark : {std::string_view("II*\0", 4), {"MM\0*", 4}, {"II+\0", 4}, {"MM\0+", 4}}) {
    if (starts_with(bytes, mark)) return ImageFormat::tiff;
  }
  const std::string content = describe_content(bytes);
  // A picture of another kind can be made one of these.
  const bool is_picture = content.ends_with("image") || content.ends_with("drawing") || content.find("HEIC") != std::string::npos;
  throw Error(std::string("not a ") + format_names + " image: " + content + (is_picture ? "; convert it, to PNG for example" : ""));
}

ImageInfo read_image_info(Bytes bytes) {
  switch (recognise_format(bytes)) {
    case ImageFormat::jpeg:
      return read_jpeg(bytes);
    case ImageFormat::png:
      return read_png(bytes);
    case ImageFormat::webp:
      return read_webp(bytes);
    case ImageFormat::gif:
      return read_gif_info(bytes);
    case ImageFormat::tiff:
      break;
  }
  return read_tiff_info(bytes);
}

int exif_orientation(Bytes tiff) {
  constexpr size_t header = 8, entry = 12;
  constexpr uint32_t orientation_tag = 0x0112;
  const bool little = starts_with(tiff, {"II*\0", 4});
  if (tiff.size() < header || (!little && !starts_with(tiff, {"MM\0*", 4}))) return 1;
  const auto number = [&](size_t at, size_t count) { return little ? little_endian(tiff, at, count) : big_endian(tiff, at, count); };
  const size_t directory = number(4, 4);
  if (directory > tiff.size() - 2) return 1;
  const size_t entries = number(directory, 2);
  for (size_t i = 0, at = directory + 2; i < entries && at <= tiff.size() && tiff.size() - at >= entry; ++i, at += entry) {
    if (number(at, 2) != orientation_tag) continue;
    // The value of a single number is in the entry itself, at the front of its four bytes: u8, u16 or u32.
    const uint32_t type = number(at + 2, 2);
    const size_t size = type == 1 ? 1 : type == 3 ? 2 : type == 4 ? 4 : 0;
    if (size == 0 || number(at + 4, 4) != 1) return 1;
    const uint32_t value = number(at + 8, size);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Rect checked_region(const DecodeRequest& request, ImageFormat format, int64_t width, int64_t height) {
  const auto text = [](int64_t w, int64_t h) { return std::to_string(w) + "x" + std::to_string(h); };
  if (width * height > request.max_pixels) {
    throw Error(std::string("a ") + format_name(format) + " of " + text(width, height) + " pixels exceeds the limit of " +
                std::to_string(request.max_pixels) + " pixels");
  }
  if (request.region == nullptr) return {0, 0, static_cast<int>(width), static_cast<int>(height)};
  const Rect& r = *request.region;
  if (r.x < 0 || r.y < 0 || r.width < 1 || r.height < 1 || r.width > width - r.x || r.height > height - r.y) {
    throw Error("the region " + text(r.width, r.height) + " at " + std::to_string(r.x) + "," + std::to_string(r.y) + " is not inside the " +
                format_name(format) + " of " + text(width, height));
  }
  return r;
}

}  // namespace flowrun::io
