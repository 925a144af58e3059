#include <algorithm>
#include <numeric>

#include "graph/node.h"
#include "nodes/lib/host/image/quarter_turn.h"
#include "nodes/lib/host/types/views.h"

namespace flowrun {
namespace {

constexpr int kTurns = 4;

struct Rotations {
  static constexpr NodeInfo info{
      .type = "image.rotations",
      .brief = "Four views of a picture, turned by 0, 90, 180 and 270 degrees, with the turn as their class: RotNet.",
      .scope = Scope::sample,
      .details =
          "Counter-clockwise, by transposing and mirroring (Gidaris et al., 2018). No pixel is resampled, which would tell a turned picture from "
          "an upright one. Nothing is drawn. Passes that train on these views need \"statistics\": \"batch\" at encode.images: a batch norm over "
          "views that are all turned alike takes away what tells the turn."};
  struct Ports {
    In<Image> image{"image", "H H 3 u8, one view."};
    Out<Image> out{"image", "Four views, H H 3 u8."};
    Out<Label> label{"label", "The class of each view: 0, 1, 2, 3 quarter turns."};
    void describe(auto& port) { port(image, out, label); }
  };

  void plan(NodePlan& plan) const {
    image::plan_one_view(plan, "a picture is turned");
    plan.views = kTurns;
  }

  void run(Ports& port, const SampleContext&) const {
    const io::PixelBuffer& in = port.image->pixels;
    image::require_one_view(in.views, "a turn");
    if (in.height != in.width) {
      throw NodeError("the picture is " + std::to_string(in.width) + "x" + std::to_string(in.height) +
                      ", but only squares can be turned; put an image.resize with fit square or an image.center_crop before it");
    }
    io::PixelBuffer& out = port.out->pixels;
    out.reshape(in.height, in.width, in.channels, kTurns);
    std::copy(in.pixels.begin(), in.pixels.end(), out.at(0));
    for (int turn = 1; turn < kTurns; ++turn) image::quarter_turn(out, turn - 1, turn);
    port.out->covers = port.image->covers;
    port.label->value = -1;
    port.label->views.resize(kTurns);
    std::iota(port.label->views.begin(), port.label->views.end(), 0);
  }
};

FLOWRUN_NODE(Rotations);

}  // namespace
}  // namespace flowrun
