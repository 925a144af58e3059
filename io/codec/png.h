#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "io/codec/image.h"
#include "io/codec/image_format.h"

namespace flowrun::io {

// Encodes H W C u8 as PNG, C = 1 gray, 3 RGB or 4 RGBA. Throws Error on other channels and on empty sizes.
std::vector<uint8_t> encode_png(const ImageView& image);

// The same into a file, all or nothing.
void write_png(const std::filesystem::path& path, const ImageView& image);

// Decodes PNG to H W 3 RGB of the request's region, equal to Pillow's open().convert("RGB") in every bit: palettes are
// looked up, gray is stretched and replicated, alpha is left out, of 16 bits the upper 8 are taken unless the request has a
// range. (One difference: Pillow cuts gray of 16 bits off at 255.) SCRATCH keeps its memory between calls. A file that ends
// too early is a TruncatedError unless the request keeps it: then missing rows are black. Nothing after a region's last row
// is read. Throws Error on what is not a PNG and on corrupt data, and as checked_region().
//
// The chunks after the last row are judged as Pillow does: checksums of chunks are not compared there, nor those of the
// pixels' chunks, whose data have a sum of their own, and the end may be missing.
Found decode_png(std::span<const uint8_t> bytes, const DecodeRequest& request, PixelBuffer& scratch, PixelBuffer& out);

// Decodes PNG as label maps are stored: OUT becomes H W 1 of the gray values or palette indices as they are in the file
// (1, 2 and 4 bits are not stretched), or H W 3 of RGB; alpha is left out. Throws Error on what is not a PNG, on
// truncated and corrupt data, on 16 bits a channel, and, before anything is allocated, on more than MAX_PIXELS. The bytes
// have no name here: the caller adds the file.
void decode_png_labels(std::span<const uint8_t> bytes, PixelBuffer& out, int64_t max_pixels = default_max_pixels);

}  // namespace flowrun::io
