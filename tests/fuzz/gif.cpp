// Any bytes as a GIF.
#include "io/codec/gif.h"

#include "tests/fuzz/decode.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  flowrun::fuzz::decode_both_ways(flowrun::io::decode_gif, {data, size});
  return 0;
}
