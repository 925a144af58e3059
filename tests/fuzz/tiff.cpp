// Any bytes as a TIFF.
#include "io/codec/tiff.h"

#include "tests/fuzz/decode.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  flowrun::fuzz::decode_both_ways(flowrun::io::decode_tiff, {data, size}, flowrun::io::SampleRange{0, 1000});
  return 0;
}
