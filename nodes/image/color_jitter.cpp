#include <algorithm>
#include <array>

#include "graph/node.h"
#include "io/codec/color.h"
#include "nodes/lib/host/types/views.h"

namespace flowrun {
namespace {

struct ColorJitter {
  static constexpr NodeInfo info{
      .type = "image.color_jitter",
      .brief = "Changes brightness, contrast, saturation and hue at random, in random order.",
      .scope = Scope::sample,
      .details =
          "torchvision 0.26's ColorJitter on Pillow 12 images, in every bit for the same factors. A factor is uniform in 1 - x to 1 + x, not below "
          "0; the hue's shift in -x to x of a full turn. With p below 1 the other images are unchanged."};
  struct Ports {
    In<Image> image{"image", "H W 3 u8, or several views."};
    Out<Image> out{"image", "The same with other colours; each view is drawn separately.", InPlace{"image"}};
    void describe(auto& port) { port(image, out); }
  };
  struct Params {
    double brightness = 0.4, contrast = 0.4, saturation = 0.4, hue = 0.1;
    image::Chances p{1};
    void describe(auto& param) {
      param("brightness", brightness, not_negative, "Largest change of brightness.");
      param("contrast", contrast, not_negative, "Largest change of contrast.");
      param("saturation", saturation, not_negative, "Largest change of saturation.");
      param("hue", hue, Range{0, 0.5}, "Largest shift of the hue, turns.");
      p.describe(param, "Chance that an image is changed; a list: of each view.");
    }
  };
  Params params;

  void plan(NodePlan& plan) const { params.p.plan(plan); }

  void run(Ports& port, const SampleContext& context) const {
    const auto change = [&](uint8_t* pixels, int64_t count, Rng rng, double p) { return jitter(pixels, count, rng, p); };
    image::change_colours(*port.image, *port.out, params.p, context, change);
  }

 private:
  /// The drawn values, for the ledger.
  uint64_t jitter(uint8_t* pixels, int64_t count, Rng rng, double p) const {
    if (!rng.chance(p)) return 1;
    // All values are drawn, whether used or not: a strength of 0 must not change the others.
    std::array<int, 4> order = {0, 1, 2, 3};
    for (uint32_t i = 3; i > 0; --i) std::swap(order[i], order[rng.below(i + 1)]);
    const auto factor = [&](double strength) { return rng.uniform(std::max(0.0, 1 - strength), 1 + strength); };
    const double brightness = factor(params.brightness), contrast = factor(params.contrast), saturation = factor(params.saturation);
    const double hue = rng.uniform(-params.hue, params.hue);
    for (const int step : order) {
      if (step == 0 && params.brightness > 0) io::adjust_brightness(pixels, count, brightness);
      if (step == 1 && params.contrast > 0) io::adjust_contrast(pixels, count, contrast);
      if (step == 2 && params.saturation > 0) io::adjust_saturation(pixels, count, saturation);
      if (step == 3 && params.hue > 0) io::adjust_hue(pixels, count, hue);
    }
    const double drawn[] = {brightness, contrast, saturation, hue};
    return hash_bytes(drawn, sizeof drawn, hash_bytes(order.data(), sizeof order));
  }
};

FLOWRUN_NODE(ColorJitter);

}  // namespace
}  // namespace flowrun
