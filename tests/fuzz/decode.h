// The harness of one format's decoder.
#pragma once

#include "io/codec/image_format.h"
#include "io/error.h"
#include "tests/fuzz/picture.h"

namespace flowrun::fuzz {

/// Decodes BYTES by `decode_gif` or another of its kind, whole files alone and truncated ones too. Faults are io::Error.
template <class Decode>
void decode_both_ways(Decode decode, std::span<const uint8_t> bytes, std::optional<io::SampleRange> range = {}) {
  static io::PixelBuffer out, scratch;
  for (const bool keep : {false, true}) {
    try {
      decode(bytes, {.keep_truncated = keep, .max_pixels = max_pixels, .range = range}, scratch, out);
    } catch (const io::Error&) {
    }
  }
}

}  // namespace flowrun::fuzz
