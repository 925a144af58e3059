#include "io/pack/pack_image.h"

#include <algorithm>

#include "io/codec/image_decoder.h"
#include "io/codec/jpeg.h"
#include "io/codec/jpeg_tiles.h"
#include "io/error.h"
#include "io/resize/resize.h"

namespace flowrun::io {

namespace {

/// Keeps buffers between images: one per thread.
struct Packer {
  ImageDecoder decoder;
  Resizer resizer;
  PixelBuffer pixels;
  std::vector<uint8_t> small;

  /// The new file has no EXIF data: its pixels lie as they lay in the old one. Returns the values of a picture of 16 bits.
  std::optional<SampleRange> shrink(std::vector<uint8_t>& bytes, const ImageInfo& info, const PackOptions& options) {
    const Decoded decoded = decoder.decode(bytes, info, {}, pixels);
    if (info.channels == 1 && is_gray()) drop_chroma();
    const int64_t shortest = std::min(pixels.width, pixels.height);
    const int height = static_cast<int>(int64_t{pixels.height} * options.resize / shortest);
    const int width = static_cast<int>(int64_t{pixels.width} * options.resize / shortest);
    small.resize(static_cast<size_t>(height) * static_cast<size_t>(width) * static_cast<size_t>(pixels.channels));
    resizer.resize(pixels.view(), height, width, options.filter, false, small.data());
    encode_jpeg({small.data(), height, width, pixels.channels}, options.quality, bytes);
    return decoded.deep;
  }

  /// One channel may also be a palette's.
  bool is_gray() const {
    for (size_t i = 0; i < pixels.pixels.size(); i += 3) {
      if (pixels.pixels[i] != pixels.pixels[i + 1] || pixels.pixels[i] != pixels.pixels[i + 2]) return false;
    }
    return true;
  }

  /// Gray comes as three equal channels, and is written as one again.
  void drop_chroma() {
    const size_t count = pixels.pixels.size() / 3;
    for (size_t i = 0; i < count; ++i) pixels.pixels[i] = pixels.pixels[3 * i];
    pixels.reshape(pixels.height, pixels.width, 1);
  }

  /// False when the file is damaged: it stays unchanged then, and training meets the damage.
  static bool tile(std::vector<uint8_t>& bytes, int tiles_per_row) {
    try {
      bytes = tile_jpeg(bytes, {tiles_per_row});
      return true;
    } catch (const Error&) {
      return false;
    }
  }
};

}  // namespace

PackedAs pack_image(std::vector<uint8_t>& bytes, const PackOptions& options) {
  thread_local Packer packer;
  const ImageInfo info = read_image_info(bytes);
  PackedAs done;
  done.resized = options.resize > 0 && std::min(info.width, info.height) > options.resize;
  if (done.resized) done.cut = packer.shrink(bytes, info, options);
  if (options.tiles_per_row && (done.resized || info.format == ImageFormat::jpeg)) done.tiled = Packer::tile(bytes, *options.tiles_per_row);
  return done;
}

}  // namespace flowrun::io
