// Any bytes as a picture: refused with an Error, or decoded, the same each time, and every region as the whole has it.
#include "io/codec/image_decoder.h"

#include "io/error.h"
#include "tests/fuzz/picture.h"

using namespace flowrun::io;
using namespace flowrun::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static ImageDecoder decoder;  // one for all: a picture must not affect the next one
  const std::span bytes(data, size);
  Draws below(bytes);
  DecodeOptions options{.apply_orientation = below(2) == 0, .keep_truncated = below(2) == 0, .max_pixels = max_pixels};
  PixelBuffer whole, again, part, expected;
  ImageInfo info;
  try {
    info = read_image_info(bytes);
    if (int64_t{info.width} * info.height > max_pixels) return 0;
  } catch (const Error&) {
    return 0;
  }
  bool decoded = false;
  try {
    decoder.decode(bytes, options, whole);
    decoded = true;
    again.reshape(whole.height, whole.width, 3);
    std::fill(again.pixels.begin(), again.pixels.end(), 0x5a);
    decoder.decode(bytes, options, again);
    require(whole.pixels == again.pixels, "a second decode gives other pixels");
  } catch (const Error&) {
    require(!decoded, "a second decode is refused");
  }
  if (!options.apply_orientation) info.orientation = 1;
  const Rect all = turned_size(info);
  const int x = below(all.width), y = below(all.height);
  const Rect region{x, y, 1 + below(all.width - x), 1 + below(all.height - y)};
  try {
    options.region = region;
    decoder.decode(bytes, options, part);
    if (decoded) copy_rect(whole, region, expected);
    require(!decoded || part.pixels == expected.pixels, "a region differs from the whole");
    options.least_side = 1 + below(16);
    decoder.decode(bytes, options, part);
  } catch (const Error&) {
    require(!decoded || options.least_side > 0, "a region of what can be decoded is refused");
  }
  return 0;
}
