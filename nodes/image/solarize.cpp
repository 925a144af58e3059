#include "graph/node.h"
#include "io/color.h"
#include "nodes/views.h"

namespace flowrun {
namespace {

struct Solarize {
  static constexpr NodeInfo info{.type = "image.solarize",
                                 .brief = "Inverts bright values with a given chance.",
                                 .scope = Scope::sample,
                                 .details =
                                     "torchvision 0.26's RandomSolarize on Pillow 12 images, in every bit: a value v of a channel that is at least "
                                     "the threshold becomes 255 - v."};
  struct Ports {
    In<Image> image{"image", "H W 3 u8, or several views."};
    Out<Image> out{"image", "The same, solarized or not; each view by itself.", InPlace{"image"}};
    void describe(auto& port) { port(image, out); }
  };
  struct Params {
    int64_t threshold = 128;
    double p = 0.2;
    void describe(auto& param) {
      param("threshold", threshold, Range{0, 256}, "Smallest value that is inverted.");
      param("p", p, Range{0, 1}, "Chance that an image is changed.");
    }
  };
  Params params;

  void run(Ports& port, const SampleContext& context) const {
    image::require_rgb(port.image->pixels);
    change_in_place(*port.image, *port.out);
    io::PixelBuffer& out = port.out->pixels;
    for (int view = 0; view < out.views; ++view) {
      const bool changed = image::rng_of(context, view).chance(params.p);
      image::add_to_ledger(context, view, changed ? 1 : 2);
      if (changed) io::solarize(out.at(view), image::pixels_of_view(out), static_cast<int>(params.threshold));
    }
  }
};

FLOWRUN_NODE(Solarize);

}  // namespace
}  // namespace flowrun
