// The picture of a contact sheet: the crops, the patches that the student sees, and the patches that it predicts.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "io/codec/image.h"
#include "nodes/lib/host/types/host_types.h"

namespace flowrun {

using Colour = std::array<uint8_t, 3>;
inline constexpr Colour paper = {255, 255, 255}, hidden_colour = {225, 225, 225};
// Okabe and Ito's palette: told apart by colour-blind eyes too.
inline constexpr Colour region_colours[] = {{230, 159, 0}, {86, 180, 233}, {0, 158, 115}, {204, 121, 167},
                                            {213, 94, 0},  {0, 114, 178},  {240, 228, 66}};

/// `a` blended with that share of `b`. Hidden patches keep 12 % of their colour.
Colour wash(const Colour& a, const Colour& b, int percent);
/// A patch that belongs to these target regions.
Colour tinted(Colour colour, const std::vector<int>& regions);
inline constexpr int hidden_percent = 88;
inline constexpr int gutter = 6;  // pixels between the pictures of a sheet

/// One column for each of the first `count` images; rows: the crop; the crop with hidden patches washed out; the crop
/// with every target region in a colour of its own. Without masks, the first row alone. Small images are enlarged to
/// about `side` pixels, each pixel a square. H W 3.
io::PixelBuffer contact_sheet(const ImageBatch& images, const Masks* masks, int64_t count, int side);

}  // namespace flowrun
