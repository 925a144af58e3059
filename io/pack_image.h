#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "io/pack.h"

namespace flowrun::io {

// What pack does to one image. BYTES, as they were read, become what is written; true when they were encoded anew (as
// JPEG). Every image's header is read, so that one which is none is found now. Images whose shortest side is no longer
// than options.resize stay as they are. Any thread. Throws Error without the file's name.
bool pack_image(std::vector<uint8_t>& bytes, const PackOptions& options);

}  // namespace flowrun::io
