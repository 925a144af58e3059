#include "graph/node.h"
#include "nodes/lib/host/image/rand_augment_ops.h"
#include "nodes/lib/host/types/views.h"

namespace flowrun {
namespace {

struct RandAugment {
  static constexpr NodeInfo info{
      .type = "image.rand_augment",
      .brief = "RandAugment: a few operations drawn from fifteen, each with its own chance and a random strength.",
      .scope = Scope::sample,
      .details =
          "timm's rand-m9-mstd0.5-inc1 (DeiT, MAE's fine-tuning): AutoContrast, Equalize, Invert, Rotate, PosterizeIncreasing, "
          "SolarizeIncreasing, SolarizeAdd, Color-, Contrast-, Brightness- and SharpnessIncreasing, ShearX, ShearY, TranslateXRel and "
          "TranslateYRel, drawn with replacement. The magnitude is normal about m and cut to 0..10. Operations are Pillow's; shears, shifts "
          "and rotations are bicubic. What was applied enters the ledger."};
  struct Ports {
    In<Image> image{"image", "H W 3 u8, or several views."};
    Out<Image> out{"image", "The same size; each view is drawn separately.", InPlace{"image"}};
    void describe(auto& port) { port(image, out); }
  };
  struct Params {
    int64_t operations = 2;
    double magnitude = 9, deviation = 0.5, p = 0.5;
    std::vector<int64_t> fill = {124, 116, 104};
    void describe(auto& param) {
      param("operations", operations, Range{0, 15}, "How many are drawn for an image.");
      param("magnitude", magnitude, Range{0, 10}, "Mean strength; 10 is the strongest.");
      param("deviation", deviation, Range{0, 10}, "Standard deviation of the strength.");
      param("p", p, Range{0, 1}, "Chance that an operation that was drawn is applied.");
      param("fill", fill, Range{0, 255}, "Red, green and blue of pixels from outside the image; default: ImageNet's mean.");
    }
    std::optional<ParamFault> check() const {
      if (fill.size() != 3) return ParamFault{"fill", "fill must be three numbers: red, green, blue"};
      return {};
    }
  };
  Params params;

  void run(Ports& port, const SampleContext& context) const {
    io::PixelBuffer& out = port.out->pixels;
    change_in_place(*port.image, *port.out);
    if (out.views == 1) return augment(out, context, 0);
    io::PixelBuffer one;
    one.reshape(out.height, out.width, out.channels);
    for (int view = 0; view < out.views; ++view) {
      std::copy_n(out.at(view), one.pixels.size(), one.pixels.begin());
      augment(one, context, view);
      std::copy(one.pixels.begin(), one.pixels.end(), out.at(view));
    }
  }

 private:
  void augment(io::PixelBuffer& out, const SampleContext& context, int view) const {
    const image::Colour fill = {static_cast<uint8_t>(params.fill[0]), static_cast<uint8_t>(params.fill[1]), static_cast<uint8_t>(params.fill[2])};
    Rng rng = context.rng();
    io::PixelBuffer before;
    for (int64_t i = 0; i < params.operations; ++i) {
      rng.seek(image::first_draw(view) + 16 * static_cast<uint32_t>(i));  // independent of the draws before
      const auto operation = static_cast<image::Operation>(rng.below(image::kOperations));
      const bool applied = rng.chance(params.p), negate = rng.chance(0.5);
      const double magnitude = std::clamp(params.magnitude + params.deviation * rng.normal(), 0.0, 10.0);
      if (!applied) continue;
      const double argument = image::argument(operation, magnitude, negate);
      const std::pair<double, double> entry{static_cast<double>(operation) + 16.0 * static_cast<double>(i), argument};
      image::add_to_ledger(context, view, hash_bytes(&entry, sizeof entry));
      std::swap(before, out);
      image::apply(operation, argument, fill, before, out);
    }
  }
};

FLOWRUN_NODE(RandAugment);

}  // namespace
}  // namespace flowrun
