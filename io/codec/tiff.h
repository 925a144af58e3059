#pragma once

#include <cstdint>
#include <span>

#include "io/codec/image.h"
#include "io/codec/image_format.h"

namespace flowrun::io {

// The size of a TIFF's first page. Throws as read_image_info().
ImageInfo read_tiff_info(std::span<const uint8_t> bytes);

// Decodes a TIFF's first page to H W 3 RGB of the request's region, as it is stored: gray, RGB, palette, CMYK and YCbCr, with
// or without one extra band, in strips or tiles, of 1 to 16 bits, with any compression of libtiff. Files of 8 bits equal
// Pillow's open().convert("RGB") in every bit. The extra band is dropped; if it is alpha that the colours were multiplied by,
// they are divided by it. Bands without a meaning are gray (1 or 2) or RGB (3 or 4).
//
// The upper byte of u16 samples is taken, unless the request has a range; other numbers (signed, 32 bits and more, floating
// point) are an Error without one, which tells the smallest and largest. A file that ends too early is a TruncatedError
// unless the request keeps it: then strips and tiles that are cut are black. Data outside a region is not read. Throws
// Error on other kinds of TIFF and on corrupt data, and as checked_region().
Found decode_tiff(std::span<const uint8_t> bytes, const DecodeRequest& request, PixelBuffer& scratch, PixelBuffer& out);

}  // namespace flowrun::io
