// Shared by nodes that process each view of a picture separately.
#pragma once

#include <string>

#include "graph/contract/context.h"
#include "graph/text/error.h"
#include "nodes/lib/host/types/host_types.h"

namespace flowrun::image {

/// The random numbers of one view, at a place of its own in the sample's draws. View 0 gets the numbers of a picture
/// with one view. No node may take more than 1024 draws for a view.
inline uint32_t first_draw(int view) { return 1024 * static_cast<uint32_t>(view); }
inline Rng rng_of(const SampleContext& context, int view) {
  Rng rng = context.rng();
  rng.seek(first_draw(view));
  return rng;
}

/// The ledger entry of one view: equal draws of different views are different entries.
inline void add_to_ledger(const SampleContext& context, int view, uint64_t drawn) {
  context.ledger.add(view == 0 ? drawn : hash_bytes(&drawn, sizeof drawn, static_cast<uint64_t>(view)));
}

inline int64_t pixels_of_view(const io::PixelBuffer& image) { return static_cast<int64_t>(image.height) * image.width; }

/// For nodes of colours. Throws NodeError unless the pixels are RGB.
inline void require_rgb(const io::PixelBuffer& image) {
  if (image.channels != 3) throw NodeError("colours can't be changed of an image of " + std::to_string(image.channels) + " channels");
}

/// For nodes of colours: calls `change` for each view (its pixels, their number, its random numbers), which returns
/// what it drew.
template <class Change>
void change_colours(const Image& in, Image& out, const SampleContext& context, Change&& change) {
  require_rgb(in.pixels);
  change_in_place(in, out);
  for (int view = 0; view < out.pixels.views; ++view) {
    add_to_ledger(context, view, change(out.pixels.at(view), pixels_of_view(out.pixels), rng_of(context, view)));
  }
}

/// For nodes that take `what`, of which a picture has one. Ends the run if there are several views.
inline void require_one_view(int views, const std::string& what) {
  if (views == 1) return;
  throw FatalNodeError(what + " is for one view of a picture, but " + std::to_string(views) +
                       " come; give each view a chain of nodes of its own, with count = 1 at image.random_crop");
}

}  // namespace flowrun::image
