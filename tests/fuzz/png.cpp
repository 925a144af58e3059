// Any bytes as a PNG of labels, and as pixels.
#include "io/png.h"

#include "io/error.h"

using namespace flowrun::io;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static PixelBuffer out, scratch;
  const std::span bytes(data, size);
  try {
    decode_png_labels(bytes, out, 1 << 16);
  } catch (const Error&) {
  }
  for (const bool keep : {false, true}) {
    try {
      decode_png(bytes, {.keep_truncated = keep, .max_pixels = 1 << 16}, scratch, out);
    } catch (const Error&) {
    }
  }
  return 0;
}
