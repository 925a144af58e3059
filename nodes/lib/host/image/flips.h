// Shared by nodes that mirror pictures by chance.
#pragma once

#include <cstdint>
#include <vector>

#include "nodes/lib/host/types/views.h"

namespace flowrun::image {

/// A picture and, where there is one, its label map: of an input, or of an output.
struct Flipped {
  Image& image;
  LabelMap* map = nullptr;
};

/// Applies `flip` to each view of `to`, which holds the picture already, by its own chance, and to the label map together with the picture. The draw
/// enters the ledger: 1 of a flip, 2 of none. Returns 1 or 0 for each view. Throws NodeError on a label map of several views.
std::vector<uint8_t> flip_by_chance(const Flipped& to, const Chances& p, const SampleContext& context,
                                    void (*flip)(io::PixelBuffer& pixels, int view));

}  // namespace flowrun::image
