#include "io/png.h"

#include <cstring>
#include <png.h>
#include <string>

#include "io/error.h"
#include "io/file.h"

namespace flowrun::io {

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

void write_png(const std::filesystem::path& path, const ImageView& image) {
  const std::vector<uint8_t> bytes = encode_png(image);
  write_file_atomic(path, std::as_bytes(std::span(bytes)));
}

}  // namespace flowrun::io
