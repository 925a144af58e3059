// The picture of a contact sheet: what the crops are, what the student sees of them, what it has to predict.
#pragma once

#include "io/image.h"
#include "nodes/host.h"

namespace flowrun {

/// One column for each of the first `count` images; rows: the crop; the crop with what is hidden from the student
/// washed out; the crop with every target region in a colour of its own. Without masks, the first row alone. Small
/// images are enlarged to about `side` pixels, each pixel a square. H W 3.
io::PixelBuffer contact_sheet(const ImageBatch& images, const Masks* masks, int64_t count, int side);

}  // namespace flowrun
