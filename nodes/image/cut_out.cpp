#include <algorithm>
#include <cmath>

#include "graph/node.h"
#include "nodes/lib/host/types/views.h"

namespace flowrun {
namespace {

struct CutOut {
  static constexpr NodeInfo info{
      .type = "image.cut_out",
      .brief = "Covers a random square of the image with one colour.",
      .scope = Scope::sample,
      .details =
          "DeVries and Taylor 2017: the centre is uniform over the image, so that the square may lie partly outside. Covered pixels have no class in "
          "the label map (255), so they don't count in a segmentation's loss."};
  struct Ports {
    In<Image> image{"image", "H W 3 u8, or several views."};
    In<LabelMap> label_map{"label_map", "Class of each pixel.", optional};
    Out<Image> out{"image", "The same, with the square; each view is drawn separately.", InPlace{"image"}};
    Out<LabelMap> out_map{"label_map", "The same, without classes in the square; empty without a label map.", InPlace{"label_map"}};
    void describe(auto& port) { port(image, label_map, out, out_map); }
  };
  struct Params {
    double p = 0.5, side = 0.5;
    std::vector<int64_t> colour = {124, 116, 104};
    void describe(auto& param) {
      param("p", p, Range{0, 1}, "Chance that an image has a square.");
      param("side", side, Range{0, 1}, "Side of the square over the shorter side of the image.");
      param("colour", colour, Range{0, 255}, "Colour of the square; default: ImageNet's mean.");
    }
    std::optional<ParamFault> check() const {
      if (colour.size() != 3) return ParamFault{"colour", "colour must be three numbers: red, green, blue"};
      return {};
    }
  };
  Params params;

  void run(Ports& port, const SampleContext& context) const {
    if (port.label_map) image::require_one_view(port.image->pixels.views, "a label map");
    change_in_place(*port.image, *port.out);
    if (port.label_map) change_in_place(*port.label_map, *port.out_map);
    for (int view = 0; view < port.out->pixels.views; ++view) image::add_to_ledger(context, view, cut(port, view, image::rng_of(context, view)));
  }

 private:
  /// The drawn values, for the ledger.
  uint64_t cut(Ports& port, int view, Rng rng) const {
    const int height = port.out->pixels.height, width = port.out->pixels.width;
    const int y = static_cast<int>(rng.below(static_cast<uint32_t>(height))), x = static_cast<int>(rng.below(static_cast<uint32_t>(width)));
    if (!rng.chance(params.p)) return 1;
    const int side = static_cast<int>(std::lrint(params.side * std::min(height, width)));
    const int top = std::max(0, y - side / 2), left = std::max(0, x - side / 2);
    const int bottom = std::min(height, y - side / 2 + side), right = std::min(width, x - side / 2 + side);
    const uint8_t colour[] = {static_cast<uint8_t>(params.colour[0]), static_cast<uint8_t>(params.colour[1]), static_cast<uint8_t>(params.colour[2])};
    cover(port.out->pixels, view, top, left, bottom, right, colour);
    const uint8_t none[] = {255, 255, 255};
    if (port.label_map) cover(port.out_map->pixels, 0, top, left, bottom, right, none);
    const int box[] = {top, left, bottom, right};
    return hash_bytes(box, sizeof box);
  }

  static void cover(io::PixelBuffer& image, int view, int top, int left, int bottom, int right, const uint8_t* colour) {
    for (int y = top; y < bottom; ++y) {
      for (int x = left; x < right; ++x) {
        const int place = (y * image.width + x) * image.channels;
        std::copy_n(colour, image.channels, image.at(view) + place);
      }
    }
  }
};

FLOWRUN_NODE(CutOut);

}  // namespace
}  // namespace flowrun
