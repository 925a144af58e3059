// The picture of `flowrun replay`.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/contract/shown.h"
#include "io/codec/image.h"

namespace flowrun::tool {

/// An image, or several views of one, and the masks drawn for it.
struct PictureRow {
  const Shown::Pixels* image;
  std::vector<const Shown*> masks;
};

/// Left the whole picture of `file`, with a box per region; where it can't be decoded, nothing. Right of it a row per
/// view, with a frame in the colour of its box where there are several: the view; and for each of its masks what the
/// student sees, and what is to be predicted. Small images are
/// enlarged, each pixel a square; a large file is shrunk. Throws RunError when there is nothing to draw.
io::PixelBuffer replay_picture(const std::vector<uint8_t>* file, const std::vector<Shown::Boxes>& regions, const std::vector<PictureRow>& rows);

}  // namespace flowrun::tool
