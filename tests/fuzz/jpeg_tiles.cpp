// Any bytes as a JPEG to tile: refused with an Error, or rewritten with the same pixels, of which every region is right.
#include "io/codec/jpeg_tiles.h"

#include "io/codec/image_format.h"
#include "io/codec/jpeg.h"
#include "io/error.h"
#include "tests/fuzz/picture.h"

using namespace flowrun::io;
using namespace flowrun::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static JpegDecoder decoder(max_pixels);
  const std::span bytes(data, size);
  Draws below(bytes);
  PixelBuffer whole, again, part, expected;
  std::vector<uint8_t> tiled;
  try {
    const ImageInfo info = read_image_info(bytes);
    if (info.format != ImageFormat::jpeg || int64_t{info.width} * info.height > max_pixels) return 0;
    const Rect region{below(info.width), below(info.height), 1, 1};
    JpegTiles().cut(bytes, region, max_pixels);  // unchecked bytes
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
