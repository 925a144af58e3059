// Any bytes as a WebP.
#include "io/codec/webp.h"

#include "tests/fuzz/decode.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  flowrun::fuzz::decode_both_ways(flowrun::io::decode_webp, {data, size});
  return 0;
}
