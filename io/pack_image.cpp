#include "io/pack_image.h"

#include <algorithm>

#include "io/jpeg.h"
#include "io/resize.h"

namespace flowrun::io {

namespace {

/// Keeps buffers between images: one per thread.
struct Shrinker {
  JpegDecoder decoder;
  Resizer resizer;
  PixelBuffer pixels;
  std::vector<uint8_t> small;

  /// The one place that decodes. What it gives is upright as the decoder makes it, for the new file has no EXIF.
  void shrink(std::vector<uint8_t>& bytes, const JpegInfo& info, const PackOptions& options) {
    decoder.decode(bytes, pixels);
    if (info.components == 1) drop_chroma();
    const int64_t shortest = std::min(pixels.width, pixels.height);
    const int height = static_cast<int>(int64_t{pixels.height} * options.resize / shortest);
    const int width = static_cast<int>(int64_t{pixels.width} * options.resize / shortest);
    small.resize(static_cast<size_t>(height) * static_cast<size_t>(width) * static_cast<size_t>(pixels.channels));
    resizer.resize(pixels.view(), height, width, options.filter, false, small.data());
    encode_jpeg({small.data(), height, width, pixels.channels}, options.quality, bytes);
  }

  /// Gray comes as three equal channels, and is written as one again.
  void drop_chroma() {
    const size_t count = pixels.pixels.size() / 3;
    for (size_t i = 0; i < count; ++i) pixels.pixels[i] = pixels.pixels[3 * i];
    pixels.reshape(pixels.height, pixels.width, 1);
  }
};

}  // namespace

bool pack_image(std::vector<uint8_t>& bytes, const PackOptions& options) {
  const JpegInfo info = read_jpeg_info(bytes);
  const bool shrinks = options.resize > 0 && std::min(info.width, info.height) > options.resize;
  if (shrinks) {
    thread_local Shrinker shrinker;
    shrinker.shrink(bytes, info, options);
  }
  // A rewriting of the file without a change of its pixels belongs here.
  return shrinks;
}

}  // namespace flowrun::io
