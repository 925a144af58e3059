// Any bytes as a JPEG to tile: refused with an Error, or rewritten with the same pixels, of which every region is right.
#include "io/jpeg_tiles.h"

#include <cstdio>
#include <cstdlib>

#include "io/error.h"
#include "io/image_format.h"
#include "io/jpeg.h"

using namespace flowrun::io;

namespace {

constexpr int64_t max_pixels = 1 << 16;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static JpegDecoder decoder(max_pixels);
  const std::span bytes(data, size);
  uint64_t hash = 14695981039346656037u;
  for (const uint8_t byte : bytes) hash = (hash ^ byte) * 1099511628211u;
  const auto below = [&](int n) { return static_cast<int>((hash = hash * 6364136223846793005u + 1442695040888963407u) >> 33) % n; };
  PixelBuffer whole, again, part, expected;
  std::vector<uint8_t> tiled;
  try {
    const ImageInfo info = read_image_info(bytes);
    if (info.format != ImageFormat::jpeg || int64_t{info.width} * info.height > max_pixels) return 0;
    const Rect region{below(info.width), below(info.height), 1, 1};
    JpegTiles().cut(bytes, region, max_pixels);  // of bytes that nobody has checked
    decoder.decode(bytes, whole);
    tiled = tile_jpeg(bytes, {4 * below(5)});
  } catch (const Error&) {
    return 0;
  }
  decoder.decode(tiled, again);
  require(again.width == whole.width && again.height == whole.height && again.pixels == whole.pixels, "tiles have other pixels");
  for (int i = 0; i < 4; ++i) {
    const int x = below(whole.width), y = below(whole.height);
    const Rect region{x, y, 1 + below(whole.width - x), 1 + below(whole.height - y)};
    decoder.decode(tiled, region, part);
    copy_rect(whole, region, expected);
    require(part.pixels == expected.pixels, "a region of tiles differs from the whole");
  }
  return 0;
}
