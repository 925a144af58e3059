#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "io/pack/pack.h"

namespace flowrun::io {

struct PackedAs {
  bool resized = false;  // and encoded anew, as JPEG
  bool tiled = false;    // the same pixels, compared
  // The smallest and largest value of a picture with 16 bits a sample, of which the upper 8 were taken.
  std::optional<SampleRange> cut;
};

// Packs one image: BYTES become the bytes to write. Every image's header is read, so that other files are found now.
// Images whose shortest side is at most options.resize keep their size. Any thread. Throws Error without the file's
// name.
PackedAs pack_image(std::vector<uint8_t>& bytes, const PackOptions& options);

}  // namespace flowrun::io
