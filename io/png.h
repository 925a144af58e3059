#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "io/image.h"

namespace flowrun::io {

// Encodes H W C u8 as PNG, C = 1 gray, 3 RGB or 4 RGBA. Throws Error on other channels and on empty sizes.
std::vector<uint8_t> encode_png(const ImageView& image);

// The same into a file, all or nothing.
void write_png(const std::filesystem::path& path, const ImageView& image);

}  // namespace flowrun::io
