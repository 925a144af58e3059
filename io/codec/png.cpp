#include "io/codec/png.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <csetjmp>
#include <cstring>
#include <png.h>
#include <string>
#include <vector>

#include "io/codec/samples.h"
#include "io/error.h"
#include "io/file.h"

namespace flowrun::io {

namespace {

// libpng reports errors by a callback that must not return. It jumps back to guarded(), over frames of libpng and of the
// body only: neither holds an object with a destructor, and members tell how far the body came.
struct PngReader {
  explicit PngReader(std::span<const uint8_t> file);
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  png_structp png = nullptr;
  png_infop info = nullptr;
  std::span<const uint8_t> bytes;
  size_t at = 0;
  bool ended = false;      // libpng asked for more bytes than there are
  bool wrong_sum = false;  // of the pixels' data
  bool complete = false;   // all rows are there
  png_uint_32 rows = 0;    // read so far
  std::jmp_buf jump;
  char message[128] = "";
};

[[noreturn]] void fail(png_structp png, png_const_charp text) {
  auto* const reader = static_cast<PngReader*>(png_get_error_ptr(png));
  std::strncpy(reader->message, text, sizeof reader->message - 1);
  std::longjmp(reader->jump, 1);
}

// Warnings of libpng leave every pixel right (unknown or damaged ancillary chunks), except one fault that it finds after
// the last row, reported in zlib's words.
void on_warning(png_structp png, png_const_charp text) {
  if (std::strstr(text, "incorrect data check") != nullptr) static_cast<PngReader*>(png_get_error_ptr(png))->wrong_sum = true;
}

void take(png_structp png, png_bytep out, size_t count) {
  auto* const reader = static_cast<PngReader*>(png_get_io_ptr(png));
  if (count > reader->bytes.size() - reader->at) {
    reader->ended = true;
    png_error(png, "truncated: the file ends too early");
  }
  std::memcpy(out, reader->bytes.data() + reader->at, count);
  reader->at += count;
}

// Calls BODY; false when libpng failed in it, with the reason in READER.
template <class Body>
bool guarded(PngReader& reader, const Body& body) {
  if (setjmp(reader.jump) != 0) return false;  // NOLINT(cert-err52-cpp): libpng has no other way
  body();
  return true;
}

[[noreturn]] void throw_error(const PngReader& reader) {
  const std::string text = "broken PNG of " + std::to_string(reader.bytes.size()) + " bytes: " + reader.message;
  if (reader.ended) throw TruncatedError(text);
  throw Error(text);
}

PngReader::PngReader(std::span<const uint8_t> file) : bytes(file) {
  if (bytes.size() < 8 || png_sig_cmp(bytes.data(), 0, 8) != 0) throw Error("not a PNG: " + describe_content(bytes));
  png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, fail, on_warning);
  if (png == nullptr) throw Error("libpng has another version than its header");
  info = png_create_info_struct(png);
  // Chunks that don't change the pixels in Pillow are skipped unread, of any size.
  static const png_byte unread[] = "bKGD\0cHRM\0eXIf\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0pHYs\0sBIT\0sCAL\0sPLT\0sRGB\0tEXt\0tIME\0tRNS\0zTXt";
  const bool ok = guarded(*this, [&] {
    png_set_read_fn(png, this, take);
    png_set_user_limits(png, 1'000'000, 1'000'000);
    png_set_chunk_malloc_max(png, 0);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, unread, sizeof unread / 5);
    png_read_info(png, info);
  });
  if (ok) return;
  png_destroy_read_struct(&png, &info, nullptr);
  throw_error(*this);
}

// The state of the chunks at the end. `open`: IEND is missing, but no chunk is cut; Pillow reads it if all rows are
// there.
enum class End { proper, open, in_pixels, behind_pixels };

End find_end(std::span<const uint8_t> bytes) {
  constexpr size_t head = 8, sum = 4;  // length and kind before a chunk's data, a checksum behind them
  bool has_pixels = false;
  for (size_t at = 8; bytes.size() - at >= head;) {
    const uint8_t* const chunk = bytes.data() + at;
    const size_t length = size_t{chunk[0]} << 24 | size_t{chunk[1]} << 16 | size_t{chunk[2]} << 8 | size_t{chunk[3]};
    const auto is_kind = [&](const char* kind) { return std::memcmp(chunk + 4, kind, 4) == 0; };
    if (is_kind("IEND")) return End::proper;
    // Other bytes are no chunk.
    if (has_pixels && !std::all_of(chunk + 4, chunk + head, [](uint8_t c) { return std::isalnum(c) != 0 || c == '_'; })) return End::open;
    has_pixels = has_pixels || is_kind("IDAT");
    if (length > bytes.size() - at - head) return is_kind("IDAT") || !has_pixels ? End::in_pixels : End::behind_pixels;
    at += head + length;
    if (bytes.size() - at < sum) break;
    at += sum;
  }
  return has_pixels ? End::open : End::in_pixels;
}

// Called after the last row, when libpng has read to the end or failed: true if the file is cut off there.
bool is_cut_behind(const PngReader& reader) { return reader.ended && find_end(reader.bytes) == End::behind_pixels; }

void check_sum(const PngReader& reader) {
  if (reader.wrong_sum) throw Error("broken PNG of " + std::to_string(reader.bytes.size()) + " bytes: IDAT: incorrect data check");
}

// Whether libpng failed after the last row, which it has delivered by then.
bool failed_behind_rows(const PngReader& reader) {
  constexpr int passes = 7;
  return png_get_current_row_number(reader.png) == png_get_image_height(reader.png, reader.info) &&
         (png_get_interlace_type(reader.png, reader.info) == PNG_INTERLACE_NONE || png_get_current_pass_number(reader.png) == passes);
}

// For a truncated file libpng inflates byte by byte, which is slow: otherwise it inflates only when it has read all that
// it asked for. Checksums of the pixels' chunks are left to zlib's.
void set_up_reading(PngReader& reader, bool whole) {
  if (find_end(reader.bytes) == End::in_pixels) png_set_compression_buffer_size(reader.png, 1);
  if (whole) png_set_crc_action(reader.png, PNG_CRC_QUIET_USE, PNG_CRC_NO_CHANGE);
}

// To RGB of 8 or 16 bits, the latter as the machine has them. Returns the number of passes.
int set_up_rgb(png_structp png) {
  png_set_palette_to_rgb(png);
  png_set_expand_gray_1_2_4_to_8(png);
  if constexpr (std::endian::native == std::endian::little) png_set_swap(png);
  png_set_strip_alpha(png);
  png_set_gray_to_rgb(png);
  return png_set_interlace_handling(png);
}

}  // namespace

std::vector<uint8_t> encode_png(const ImageView& image) {
  png_image header;
  std::memset(&header, 0, sizeof header);
  header.version = PNG_IMAGE_VERSION;
  switch (image.channels) {
    case 1:
      header.format = PNG_FORMAT_GRAY;
      break;
    case 3:
      header.format = PNG_FORMAT_RGB;
      break;
    case 4:
      header.format = PNG_FORMAT_RGBA;
      break;
    default:
      throw Error("cannot encode " + std::to_string(image.channels) + " channels as PNG: it takes 1, 3 or 4");
  }
  if (image.height < 1 || image.width < 1) throw Error("cannot encode an empty image as PNG");
  header.width = static_cast<png_uint_32>(image.width);
  header.height = static_cast<png_uint_32>(image.height);
  // The bound holds for any content, so one pass is enough.
  std::vector<uint8_t> out(PNG_IMAGE_PNG_SIZE_MAX(header));
  png_alloc_size_t size = out.size();
  if (png_image_write_to_memory(&header, out.data(), &size, 0, image.pixels, 0, nullptr) == 0) {
    throw Error(std::string("cannot encode a PNG: ") + header.message);
  }
  out.resize(size);
  return out;
}

namespace {

// Rows of one request on their way into OUT.
struct RowTaker {
  const Rect& region;
  SampleScale* scale;  // of 16 bits
  PixelBuffer& out;

  void take(const uint8_t* row, int y) const {
    const size_t count = static_cast<size_t>(region.width) * 3, at = static_cast<size_t>(region.x) * 3;
    uint8_t* const to = out.pixels.data() + static_cast<size_t>(y - region.y) * count;
    if (scale != nullptr) return scale->convert<uint16_t>(row + at * 2, count, 1, to, 1);
    if (row != to) std::memcpy(to, row + at, count);
  }
};

Found decode_rows(std::span<const uint8_t> bytes, const DecodeRequest& request, PixelBuffer& scratch, PixelBuffer& out) {
  PngReader reader(bytes);
  const png_structp png = reader.png;
  const auto width = png_get_image_width(png, reader.info), height = png_get_image_height(png, reader.info);
  const Rect region = checked_region(request, ImageFormat::png, width, height);
  const bool whole = region.width == static_cast<int>(width) && region.height == static_cast<int>(height);
  const bool deep = png_get_bit_depth(png, reader.info) == 16;
  const bool in_place = region.width == static_cast<int>(width) && !deep;
  const int pixel = deep ? 6 : 3;
  const size_t row_bytes = static_cast<size_t>(width) * static_cast<size_t>(pixel), out_row = static_cast<size_t>(region.width) * 3;
  const bool interlaced = png_get_interlace_type(png, reader.info) != PNG_INTERLACE_NONE;
  out.reshape(region.height, region.width, 3);
  // Passes of an interlaced picture go over all of it, and set some pixels of each row.
  PixelBuffer& passes_into = whole && in_place ? out : scratch;
  if (interlaced) {
    passes_into.reshape(static_cast<int>(height), static_cast<int>(width), pixel);
    std::fill(passes_into.pixels.begin(), passes_into.pixels.end(), uint8_t{0});
  } else if (!in_place || region.y > 0) {
    scratch.reshape(1, static_cast<int>(width), pixel);
  }
  SampleScale scale(request.range);
  const RowTaker taker{region, deep ? &scale : nullptr, out};
  const auto first = static_cast<png_uint_32>(region.y), end = first + static_cast<png_uint_32>(region.height);
  const bool ok = guarded(reader, [&] {
    set_up_reading(reader, whole);
    const int passes = set_up_rgb(png);
    png_read_update_info(png, reader.info);
    if (png_get_rowbytes(png, reader.info) != row_bytes) png_error(png, "rows of another size");
    for (int pass = 0; interlaced && pass < passes; ++pass) {
      for (png_uint_32 y = 0; y < height; ++y) png_read_row(png, passes_into.pixels.data() + y * row_bytes, nullptr);
    }
    for (png_uint_32 y = 0; !interlaced && y < end; ++y, reader.rows = y) {
      uint8_t* const row = in_place && y >= first ? out.pixels.data() + (y - first) * out_row : scratch.pixels.data();
      png_read_row(png, row, nullptr);
      if (y >= first) taker.take(row, static_cast<int>(y));
    }
    reader.complete = true;
    if (whole) png_read_end(png, nullptr);
  });
  check_sum(reader);
  if (!ok && !reader.complete && failed_behind_rows(reader)) {
    reader.complete = true;
    if (!in_place && !interlaced) taker.take(scratch.pixels.data(), static_cast<int>(height) - 1);
  }
  Found found{.truncated = reader.complete ? whole && is_cut_behind(reader) : !ok};
  if (found.truncated && !(reader.ended && request.keep_truncated)) throw_error(reader);
  if (!reader.complete && !interlaced) {
    const size_t there = reader.rows > first ? (reader.rows - first) * out_row : 0;
    std::fill(out.pixels.begin() + static_cast<std::ptrdiff_t>(there), out.pixels.end(), uint8_t{0});
  }
  for (int y = region.y; interlaced && &passes_into != &out && y < region.y + region.height; ++y) {
    taker.take(scratch.pixels.data() + static_cast<size_t>(y) * row_bytes, y);
  }
  if (deep) found.deep = scale.seen();
  return found;
}

}  // namespace

Found decode_png(std::span<const uint8_t> bytes, const DecodeRequest& request, PixelBuffer& scratch, PixelBuffer& out) {
  if (request.region == nullptr) return decode_rows(bytes, request, scratch, out);
  try {
    return decode_rows(bytes, request, scratch, out);
  } catch (const TruncatedError&) {
    throw;
  } catch (const Error&) {
    // It may be a checksum of pixels: the whole data tell whether they are right nevertheless.
    DecodeRequest all = request;
    all.region = nullptr;
    PixelBuffer whole;
    const Found found = decode_rows(bytes, all, scratch, whole);
    const Rect region = checked_region(request, ImageFormat::png, whole.width, whole.height);
    copy_rect(whole, region, out);
    return found;
  }
}

void decode_png_labels(std::span<const uint8_t> bytes, PixelBuffer& out, int64_t max_pixels) {
  PngReader reader(bytes);
  const auto width = png_get_image_width(reader.png, reader.info), height = png_get_image_height(reader.png, reader.info);
  checked_region({.max_pixels = max_pixels}, ImageFormat::png, width, height);
  if (png_get_bit_depth(reader.png, reader.info) > 8) throw Error("the PNG has 16 bits a channel; label maps take 8");
  const bool colour =
      png_get_color_type(reader.png, reader.info) == PNG_COLOR_TYPE_RGB || png_get_color_type(reader.png, reader.info) == PNG_COLOR_TYPE_RGB_ALPHA;
  out.reshape(static_cast<int>(height), static_cast<int>(width), colour ? 3 : 1);
  const size_t stride = width * static_cast<size_t>(out.channels);
  const bool ok = guarded(reader, [&] {
    set_up_reading(reader, true);
    png_set_packing(reader.png);
    png_set_strip_alpha(reader.png);
    const int passes = png_set_interlace_handling(reader.png);
    png_read_update_info(reader.png, reader.info);
    if (png_get_rowbytes(reader.png, reader.info) != stride) png_error(reader.png, "rows of another size");
    for (int pass = 0; pass < passes; ++pass) {
      for (size_t y = 0; y < height; ++y) png_read_row(reader.png, out.pixels.data() + y * stride, nullptr);
    }
    reader.complete = true;
    png_read_end(reader.png, nullptr);
  });
  check_sum(reader);
  if (!ok && failed_behind_rows(reader)) reader.complete = true;
  if (reader.complete ? is_cut_behind(reader) : !ok) throw_error(reader);
}

void write_png(const std::filesystem::path& path, const ImageView& image) {
  const std::vector<uint8_t> bytes = encode_png(image);
  write_file_atomic(path, std::as_bytes(std::span(bytes)));
}

}  // namespace flowrun::io
