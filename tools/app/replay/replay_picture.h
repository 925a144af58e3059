// The picture of `flowrun replay`.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/contract/shown.h"
#include "io/codec/image.h"

namespace flowrun::app {

/// An image, or several views of one, and the masks drawn for it.
struct PictureRow {
  const Shown::Pixels* image;
  std::vector<const Shown*> masks;
};

/// At the left is the whole picture of `file`, with a box per region, if it can be decoded. Right of it is a row per
/// view, with a frame in the colour of its box if there are several: the view, and for each of its masks the patches
/// that the student sees, and the target regions. Small images are enlarged, each pixel a square; a large file is
/// shrunk. Throws RunError when there is nothing to draw.
io::PixelBuffer replay_picture(const std::vector<uint8_t>* file, const std::vector<Shown::Boxes>& regions, const std::vector<PictureRow>& rows);

}  // namespace flowrun::app
