#pragma once

#include <cstdint>
#include <span>

#include "io/codec/image.h"
#include "io/codec/image_format.h"

namespace flowrun::io {

// Decodes WebP, lossy or lossless, to H W 3 RGB of the request's region, equal to Pillow's open().convert("RGB") in every
// bit: alpha is left out, of an animation the first frame is taken. SCRATCH keeps its memory between calls. Returns
// whether the file ends too early, which is a TruncatedError unless the request keeps such files: then the rows that
// are missing are black. Throws Error on what is not a WebP and on corrupt data, and as checked_region().
bool decode_webp(std::span<const uint8_t> bytes, const DecodeRequest& request, PixelBuffer& scratch, PixelBuffer& out);

}  // namespace flowrun::io
