#include "io/jpeg.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "io/error.h"
#include "io/jpeg_tiles.h"
#include "io/libjpeg.h"

namespace flowrun::io {

namespace {

using libjpeg::decode_error;
using libjpeg::ErrorManager;
using libjpeg::guarded;
using libjpeg::set_up;

// A crafted file of many scans over a large image would decode for hours; real encoders write about ten.
constexpr int most_scans = 500;

void check_scans(j_common_ptr info) {
  auto* const decompress = reinterpret_cast<j_decompress_ptr>(info);
  if (decompress->input_scan_number > most_scans) ERREXIT(info, JERR_BAD_PROGRESSION);
}

std::string as_hex(std::span<const uint8_t> bytes) {
  std::string text;
  for (const uint8_t byte : bytes) {
    char hex[4];
    snprintf(hex, sizeof hex, "%s%02x", text.empty() ? "" : " ", byte);
    text += hex;
  }
  return text;
}

// What a file that is no JPEG seems to be, for the message.
std::string describe(std::span<const uint8_t> bytes) {
  struct Magic {
    size_t offset;
    std::string_view mark;
    const char* name;
  };
  static constexpr Magic magics[] = {{0, "\x89PNG", "a PNG image"},
                                     {0, "GIF8", "a GIF image"},
                                     {8, "WEBP", "a WebP image"},
                                     {0, "BM", "a BMP image"},
                                     {0, "II*", "a TIFF image"},
                                     {0, "MM\0*", "a TIFF image"},
                                     {4, "ftyp", "a HEIC, AVIF or MP4 file"},
                                     {0, "\x1f\x8b", "gzip data"},
                                     {0, "PK\3\4", "a zip archive"},
                                     {0, "<!DOCTYPE", "a web page"},
                                     {0, "<html", "a web page"},
                                     {0, "%PDF", "a PDF document"}};
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const Magic& magic : magics) {
    if (text.substr(std::min(magic.offset, text.size())).starts_with(magic.mark)) {
      return std::string("it looks like ") + magic.name;
    }
  }
  const std::string_view start = text.substr(0, 16);
  if (std::all_of(start.begin(), start.end(), [](char c) { return c == 0; })) return "it begins with zero bytes";
  if (std::all_of(start.begin(), start.end(), [](char c) { return (c >= ' ' && c <= '~') || c == '\n' || c == '\r'; })) {
    return "it is text: \"" + std::string(start.substr(0, start.find_first_of("\r\n"))) + "\"";
  }
  return "its first bytes are " + as_hex(bytes.first(std::min<size_t>(bytes.size(), 4)));
}

void check_signature(std::span<const uint8_t> bytes) {
  if (bytes.empty()) throw Error("not a JPEG: empty, 0 bytes");
  if (bytes.size() >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff) return;
  throw Error("not a JPEG: " + describe(bytes));
}

// Adobe's inverted CMYK to RGB in Pillow's rounding: 255 * (1 - c) * (1 - k) with the product rounded once.
void rgb_from_cmyk(const uint8_t* in, int width, uint8_t* out) {
  for (int x = 0; x < width; ++x, in += 4, out += 3) {
    const int black = in[3];
    for (int c = 0; c < 3; ++c) {
      const int product = (255 - in[c]) * black + 128;
      out[c] = static_cast<uint8_t>(std::clamp(black - (((product >> 8) + product) >> 8), 0, 255));
    }
  }
}

}  // namespace

struct JpegDecoder::State {
  explicit State(int64_t limit) : max_pixels(limit) {
    set_up(errors);
    info.err = &errors.base;
    progress.progress_monitor = check_scans;
    if (!guarded(errors, [&] { jpeg_create_decompress(&info); })) throw Error(std::string("libjpeg: ") + errors.message);
    info.progress = &progress;
  }
  ~State() { jpeg_destroy_decompress(&info); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void read_header(std::span<const uint8_t> bytes);
  void decode(std::span<const uint8_t> bytes, const Rect* region, PixelBuffer& out);
  bool decode_tiles(std::span<const uint8_t> bytes, const Rect& wanted, PixelBuffer& out);
  bool decode_region(const Rect& region, bool to_the_end, PixelBuffer& out);
  void start(const Rect& region);
  void read_rows(const Rect& region, uint8_t* out);
  bool decodes_in_place(const Rect& region) const;

  int64_t max_pixels;
  ErrorManager errors{};
  jpeg_progress_mgr progress{};
  jpeg_decompress_struct info{};
  JpegTiles tiles;
  std::vector<uint8_t> row;  // one decoded row, wider than the region by margins and alignment
  unsigned row_start = 0;    // the image column where it begins
};

void JpegDecoder::State::read_header(std::span<const uint8_t> bytes) {
  check_signature(bytes);
  const bool ok = guarded(errors, [&] {
    jpeg_mem_src(&info, bytes.data(), bytes.size());
    jpeg_read_header(&info, TRUE);
  });
  if (!ok) throw decode_error(errors, bytes.size());
  if (info.num_components != 1 && info.num_components != 3 && info.num_components != 4) {
    throw Error("cannot decode a JPEG of " + std::to_string(info.num_components) + " components");
  }
}

bool JpegDecoder::State::decodes_in_place(const Rect& region) const {
  return info.out_color_space == JCS_RGB && row_start == 0 && info.output_width == static_cast<unsigned>(region.width);
}

// Prepares rows around the region. One pixel more on each side, where there is one, gives the chroma upsampling the
// neighbours it has in the whole image. A crop of less than two chroma columns would be upsampled in another way.
void JpegDecoder::State::start(const Rect& region) {
  constexpr int narrowest = 8;  // columns: two of chroma at the strongest subsampling, a quarter
  info.out_color_space = info.num_components == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&info);
  row_start = 0;
  const int whole = static_cast<int>(info.output_width);
  if (region.width == whole) return;
  const int from = std::max(std::min(region.x - 1, whole - narrowest), 0);
  const int to = std::min(std::max(region.x + region.width + 1, from + narrowest), whole);
  auto left = static_cast<JDIMENSION>(from);
  auto width = static_cast<JDIMENSION>(to - from);
  jpeg_crop_scanline(&info, &left, &width);
  row_start = left;
}

void JpegDecoder::State::read_rows(const Rect& region, uint8_t* out) {
  const size_t stride = static_cast<size_t>(region.width) * 3;
  const auto first = static_cast<JDIMENSION>(region.y);
  const JDIMENSION end = first + static_cast<JDIMENSION>(region.height);
  const bool in_place = decodes_in_place(region);
  if (first > 1) jpeg_skip_scanlines(&info, first - 1);
  while (info.output_scanline < end) {
    const JDIMENSION y = info.output_scanline;
    uint8_t* const target = y < first ? nullptr : out + (y - first) * stride;
    uint8_t* scanline = in_place && target != nullptr ? target : row.data();
    jpeg_read_scanlines(&info, &scanline, 1);
    if (target == nullptr || scanline == target) continue;
    const size_t skipped = static_cast<size_t>(region.x) - row_start;
    if (info.out_color_space == JCS_CMYK) {
      rgb_from_cmyk(scanline + skipped * 4, region.width, target);
    } else {
      std::memcpy(target, scanline + skipped * 3, stride);
    }
  }
}

void JpegDecoder::State::decode(std::span<const uint8_t> bytes, const Rect* wanted, PixelBuffer& out) {
  // Whatever happens, the handle is ready for the next image.
  struct Abort {
    jpeg_decompress_struct& info;
    ~Abort() { jpeg_abort_decompress(&info); }
  } const abort{info};
  if (wanted != nullptr && decode_tiles(bytes, *wanted, out)) return;
  read_header(bytes);
  const int width = static_cast<int>(info.image_width);
  const int height = static_cast<int>(info.image_height);
  const std::string size = std::to_string(width) + "x" + std::to_string(height);
  if (static_cast<int64_t>(width) * height > max_pixels) {
    throw Error("a JPEG of " + size + " pixels exceeds the limit of " + std::to_string(max_pixels) + " pixels");
  }
  const Rect region = wanted != nullptr ? *wanted : Rect{0, 0, width, height};
  if (region.x < 0 || region.y < 0 || region.width < 1 || region.height < 1 || region.width > width - region.x || region.height > height - region.y) {
    throw Error("the region " + std::to_string(region.width) + "x" + std::to_string(region.height) + " at " + std::to_string(region.x) + "," +
                std::to_string(region.y) + " is not inside the JPEG of " + size);
  }
  if (!decode_region(region, wanted == nullptr, out)) throw decode_error(errors, bytes.size());
}

// The header is read. False when libjpeg failed.
bool JpegDecoder::State::decode_region(const Rect& region, bool to_the_end, PixelBuffer& out) {
  out.reshape(region.height, region.width, 3);
  row.resize(std::max(row.size(), static_cast<size_t>(info.image_width) * 4));
  return guarded(errors, [&] {
    start(region);
    read_rows(region, out.pixels.data());
    // Reads on to the end marker: a whole decode finds that it is missing.
    if (to_the_end) jpeg_finish_decompress(&info);
  });
}

// False when there are no tiles, or something is wrong with them: then the whole file says what.
bool JpegDecoder::State::decode_tiles(std::span<const uint8_t> bytes, const Rect& wanted, PixelBuffer& out) {
  if (!tiles.cut(bytes, wanted, max_pixels)) return false;
  errors.padding = JpegTiles::padding;
  const bool ok = guarded(errors,
                          [&] {
                            jpeg_mem_src(&info, tiles.jpeg().data(), tiles.jpeg().size());
                            jpeg_read_header(&info, TRUE);
                          }) &&
                  (info.num_components == 1 || info.num_components == 3 || info.num_components == 4) && decode_region(tiles.region(), false, out);
  errors.padding = 0;
  if (!ok) jpeg_abort_decompress(&info);
  return ok;
}

JpegDecoder::JpegDecoder(int64_t max_pixels) : state_(std::make_unique<State>(max_pixels)) {}
JpegDecoder::~JpegDecoder() = default;
JpegDecoder::JpegDecoder(JpegDecoder&&) noexcept = default;
JpegDecoder& JpegDecoder::operator=(JpegDecoder&&) noexcept = default;

void JpegDecoder::decode(std::span<const uint8_t> bytes, PixelBuffer& out) { state_->decode(bytes, nullptr, out); }

void JpegDecoder::decode(std::span<const uint8_t> bytes, const Rect& region, PixelBuffer& out) { state_->decode(bytes, &region, out); }

JpegInfo read_jpeg_info(std::span<const uint8_t> bytes) {
  check_signature(bytes);
  ErrorManager errors{};
  jpeg_decompress_struct info{};
  set_up(errors);
  info.err = &errors.base;
  const bool ok = guarded(errors, [&] {
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, bytes.data(), bytes.size());
    jpeg_read_header(&info, TRUE);
  });
  const JpegInfo result{static_cast<int>(info.image_width), static_cast<int>(info.image_height), info.num_components, info.progressive_mode != FALSE};
  jpeg_destroy_decompress(&info);
  if (!ok) throw decode_error(errors, bytes.size());
  return result;
}

void encode_jpeg(const ImageView& image, int quality, std::vector<uint8_t>& out, ChromaSampling sampling) {
  if (image.channels != 1 && image.channels != 3) {
    throw Error("cannot encode " + std::to_string(image.channels) + " channels as JPEG: it takes 1 or 3");
  }
  if (quality < 1 || quality > 100) throw Error("JPEG quality " + std::to_string(quality) + " is not in 1 to 100");
  ErrorManager errors{};
  jpeg_compress_struct info{};
  set_up(errors);
  info.err = &errors.base;
  // libjpeg's own memory: a vector could throw inside its callbacks.
  struct Encoded {
    unsigned char* data = nullptr;
    unsigned long size = 0;
    ~Encoded() { std::free(data); }
  } encoded;
  const size_t stride = static_cast<size_t>(image.width) * static_cast<size_t>(image.channels);
  const bool ok = guarded(errors, [&] {
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &encoded.data, &encoded.size);
    info.image_width = static_cast<JDIMENSION>(std::max(image.width, 0));
    info.image_height = static_cast<JDIMENSION>(std::max(image.height, 0));
    info.input_components = image.channels;
    info.in_color_space = image.channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, quality, TRUE);
    if (image.channels == 3) {
      info.comp_info[0].h_samp_factor = sampling == ChromaSampling::s444 ? 1 : 2;
      info.comp_info[0].v_samp_factor = sampling == ChromaSampling::s420 ? 2 : 1;
    }
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < info.image_height) {
      auto* scanline = const_cast<uint8_t*>(image.pixels + info.next_scanline * stride);
      jpeg_write_scanlines(&info, &scanline, 1);
    }
    jpeg_finish_compress(&info);
  });
  jpeg_destroy_compress(&info);
  if (!ok) throw Error(std::string("cannot encode a JPEG: ") + errors.message);
  out.assign(encoded.data, encoded.data + encoded.size);
}

}  // namespace flowrun::io
