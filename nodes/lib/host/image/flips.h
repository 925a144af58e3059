// Shared by nodes that mirror pictures by chance.
#pragma once

#include <cstdint>
#include <vector>

#include "nodes/lib/host/types/views.h"

namespace flowrun::image {

/// What is flipped: a picture that is in its output already and, where there is one, its label map.
struct Flipped {
  Image& image;
  LabelMap* map = nullptr;
  std::vector<uint8_t>* drawn = nullptr;  // gets 1 or 0 for each view; a recycled vector allocates nothing
};

/// Applies `flip` to each view of `to` by its own chance, and to the label map together with the picture. The draw enters the ledger: 1 of a flip, 2
/// of none. Throws NodeError on a label map of several views.
void flip_by_chance(const Flipped& to, const Chances& p, const SampleContext& context, void (*flip)(io::PixelBuffer& pixels, int view));

}  // namespace flowrun::image
