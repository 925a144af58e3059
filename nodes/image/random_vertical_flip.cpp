#include <algorithm>

#include "graph/node.h"
#include "nodes/lib/host/types/views.h"

namespace flowrun {
namespace {

/// Swaps the rows of a view from both ends.
void turn_over(io::PixelBuffer& image, int view) {
  const auto row = static_cast<ptrdiff_t>(image.width) * image.channels;
  uint8_t* const first = image.at(view);
  for (int y = 0; y < image.height / 2; ++y) std::swap_ranges(first + y * row, first + (y + 1) * row, first + (image.height - 1 - y) * row);
}

struct RandomVerticalFlip {
  static constexpr NodeInfo info{
      .type = "image.random_vertical_flip",
      .brief = "Turns upside down, as a mirror below would, with a given chance.",
      .scope = Scope::sample,
      .details = "torchvision 0.26's RandomVerticalFlip, in every bit. For pictures without an up and down: from above, through a microscope."};
  struct Ports {
    In<Image> image{"image", "H W 3 u8, or several views."};
    In<LabelMap> label_map{"label_map", "Class of each pixel, turned together with the image.", optional};
    Out<Image> out{"image", "The same, turned or not; each view is drawn separately.", InPlace{"image"}};
    Out<LabelMap> out_map{"label_map", "The same, turned or not; empty without a label map.", InPlace{"label_map"}};
    void describe(auto& port) { port(image, label_map, out, out_map); }
  };
  struct Params {
    image::Chances p{0.5};
    void describe(auto& param) { p.describe(param, "Chance of a turn; a list: of each view."); }
  };
  Params params;

  void plan(NodePlan& plan) const { params.p.plan(plan); }

  void run(Ports& port, const SampleContext& context) const {
    params.p.require(port.image->pixels.views);
    if (port.label_map) image::require_one_view(port.image->pixels.views, "a label map");
    change_in_place(*port.image, *port.out);
    if (port.label_map) change_in_place(*port.label_map, *port.out_map);
    for (int view = 0; view < port.out->pixels.views; ++view) {
      const bool turn = image::rng_of(context, view).chance(params.p.of(view));
      image::add_to_ledger(context, view, turn ? 1 : 2);
      if (turn) turn_over(port.out->pixels, view);
      if (turn && port.label_map) turn_over(port.out_map->pixels, 0);
    }
  }
};

FLOWRUN_NODE(RandomVerticalFlip);

}  // namespace
}  // namespace flowrun
