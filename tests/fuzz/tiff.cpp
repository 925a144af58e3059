// Any bytes as a TIFF.
#include "io/tiff.h"

#include "io/error.h"

using namespace flowrun::io;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static PixelBuffer out, scratch;
  for (const bool keep : {false, true}) {
    try {
      decode_tiff({data, size}, {.keep_truncated = keep, .max_pixels = 1 << 16, .range = SampleRange{0, 1000}}, scratch, out);
    } catch (const Error&) {
    }
  }
  return 0;
}
