#include "nodes/lib/host/image/flips.h"

namespace flowrun::image {

void flip_by_chance(const Flipped& to, const Chances& p, const SampleContext& context, void (*flip)(io::PixelBuffer& pixels, int view)) {
  const int views = to.image.pixels.views;
  p.require(views);
  if (to.map != nullptr) require_one_view(views, "a label map");
  if (to.drawn != nullptr) to.drawn->resize(static_cast<size_t>(views));
  for (int view = 0; view < views; ++view) {
    const bool drawn = rng_of(context, view).chance(p.of(view));
    add_to_ledger(context, view, drawn ? 1 : 2);
    if (to.drawn != nullptr) (*to.drawn)[static_cast<size_t>(view)] = drawn ? 1 : 0;
    if (drawn) flip(to.image.pixels, view);
    if (drawn && to.map != nullptr) flip(to.map->pixels, 0);
  }
}

}  // namespace flowrun::image
