#pragma once

#include <cstdint>
#include <span>

#include "io/codec/image.h"
#include "io/codec/image_format.h"

namespace flowrun::io {

// The size of a GIF's canvas, or of the first frame if that is larger. Throws as read_image_info().
ImageInfo read_gif_info(std::span<const uint8_t> bytes);

// Decodes a GIF's first frame to H W 3 RGB of the request's region, equal to Pillow's open().convert("RGB") in every bit:
// transparent pixels have the colour that the palette gives them, and where the frame leaves the canvas free, that is the
// transparent colour, or else the palette's first. A file that ends too early is a TruncatedError unless the request keeps
// it: then the rows that are missing are black. Throws Error on corrupt data, and as checked_region().
Found decode_gif(std::span<const uint8_t> bytes, const DecodeRequest& request, PixelBuffer& scratch, PixelBuffer& out);

}  // namespace flowrun::io
