#include "io/png.h"

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <png.h>
#include <string>
#include <vector>

#include "io/error.h"
#include "io/file.h"

namespace flowrun::io {

namespace {

// libpng reports errors by a callback that must not return. It jumps back to guarded(), over frames of libpng and of the
// body only: neither holds an object with a destructor.
struct PngReader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::span<const uint8_t> bytes;
  size_t at = 0;
  std::jmp_buf jump;
  char message[128] = "";

  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
};

[[noreturn]] void fail(png_structp png, png_const_charp text) {
  auto* const reader = static_cast<PngReader*>(png_get_error_ptr(png));
  std::strncpy(reader->message, text, sizeof reader->message - 1);
  std::longjmp(reader->jump, 1);
}

// What libpng warns of leaves every pixel right: unknown or damaged ancillary chunks.
void ignore_warning(png_structp, png_const_charp) {}

void take(png_structp png, png_bytep out, size_t count) {
  auto* const reader = static_cast<PngReader*>(png_get_io_ptr(png));
  if (count > reader->bytes.size() - reader->at) png_error(png, "the file ends too early");
  std::memcpy(out, reader->bytes.data() + reader->at, count);
  reader->at += count;
}

template <class Body>
void guarded(PngReader& reader, const Body& body) {
  if (setjmp(reader.jump) != 0) {  // NOLINT(cert-err52-cpp): libpng has no other way
    throw Error("a PNG that can't be decoded (" + std::to_string(reader.bytes.size()) + " bytes): " + reader.message);
  }
  body();
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

void decode_png_labels(std::span<const uint8_t> bytes, PixelBuffer& out, int64_t max_pixels) {
  if (bytes.size() < 8 || png_sig_cmp(bytes.data(), 0, 8) != 0) {
    throw Error("not a PNG: " + std::string(bytes.empty() ? "empty, 0 bytes" : "its first bytes are no PNG signature"));
  }
  PngReader reader;
  reader.bytes = bytes;
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, fail, ignore_warning);
  if (reader.png == nullptr) throw Error("libpng has another version than its header");
  reader.info = png_create_info_struct(reader.png);
  png_set_read_fn(reader.png, &reader, take);
  png_set_user_limits(reader.png, 1'000'000, 1'000'000);
  png_set_chunk_malloc_max(reader.png, 1 << 20);
  guarded(reader, [&] { png_read_info(reader.png, reader.info); });
  const auto width = png_get_image_width(reader.png, reader.info), height = png_get_image_height(reader.png, reader.info);
  if (static_cast<int64_t>(width) * static_cast<int64_t>(height) > max_pixels) {
    throw Error("the PNG is " + std::to_string(width) + "x" + std::to_string(height) + ", more than " + std::to_string(max_pixels) + " pixels");
  }
  if (png_get_bit_depth(reader.png, reader.info) > 8) throw Error("the PNG has 16 bits a channel; label maps take 8");
  const bool colour =
      png_get_color_type(reader.png, reader.info) == PNG_COLOR_TYPE_RGB || png_get_color_type(reader.png, reader.info) == PNG_COLOR_TYPE_RGB_ALPHA;
  out.reshape(static_cast<int>(height), static_cast<int>(width), colour ? 3 : 1);
  std::vector<png_bytep> rows(height);
  for (size_t r = 0; r < height; ++r) rows[r] = out.pixels.data() + r * width * static_cast<size_t>(out.channels);
  guarded(reader, [&] {
    png_set_packing(reader.png);
    png_set_strip_alpha(reader.png);
    png_set_interlace_handling(reader.png);
    png_read_update_info(reader.png, reader.info);
    if (png_get_rowbytes(reader.png, reader.info) != static_cast<size_t>(width) * (colour ? 3 : 1)) png_error(reader.png, "rows of another size");
    png_read_image(reader.png, rows.data());
    png_read_end(reader.png, nullptr);
  });
}

void write_png(const std::filesystem::path& path, const ImageView& image) {
  const std::vector<uint8_t> bytes = encode_png(image);
  write_file_atomic(path, std::as_bytes(std::span(bytes)));
}

}  // namespace flowrun::io
