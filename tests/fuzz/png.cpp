// Any bytes as a PNG of labels, and as pixels.
#include "io/codec/png.h"

#include "tests/fuzz/decode.h"

using namespace flowrun::io;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static PixelBuffer out;
  const std::span bytes(data, size);
  try {
    decode_png_labels(bytes, out, flowrun::fuzz::max_pixels);
  } catch (const Error&) {
  }
  flowrun::fuzz::decode_both_ways(decode_png, bytes);
  return 0;
}
