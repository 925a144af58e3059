// Any bytes as a GIF.
#include "io/gif.h"

#include "io/error.h"

using namespace flowrun::io;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static PixelBuffer out, scratch;
  for (const bool keep : {false, true}) {
    try {
      decode_gif({data, size}, {.keep_truncated = keep, .max_pixels = 1 << 16}, scratch, out);
    } catch (const Error&) {
    }
  }
  return 0;
}
