#include "graph/node.h"
#include "io/color.h"
#include "nodes/views.h"

namespace flowrun {
namespace {

struct Grayscale {
  static constexpr NodeInfo info{.type = "image.grayscale",
                                 .brief = "Takes the colours away with a given chance.",
                                 .scope = Scope::sample,
                                 .details =
                                     "torchvision 0.26's RandomGrayscale on Pillow 12 images, in every bit: the luma (ITU-R 601-2) in all three "
                                     "channels."};
  struct Ports {
    In<Image> image{"image", "H W 3 u8, or several views."};
    Out<Image> out{"image", "The same, gray or not; each view by itself.", InPlace{"image"}};
    void describe(auto& port) { port(image, out); }
  };
  struct Params {
    double p = 0.2;
    void describe(auto& param) { param("p", p, Range{0, 1}, "Chance that an image becomes gray."); }
  };
  Params params;

  void run(Ports& port, const SampleContext& context) const {
    image::require_rgb(port.image->pixels);
    change_in_place(*port.image, *port.out);
    io::PixelBuffer& out = port.out->pixels;
    for (int view = 0; view < out.views; ++view) {
      const bool gray = image::rng_of(context, view).chance(params.p);
      image::add_to_ledger(context, view, gray ? 1 : 2);
      if (gray) io::to_gray(out.at(view), image::pixels_of_view(out));
    }
  }
};

FLOWRUN_NODE(Grayscale);

}  // namespace
}  // namespace flowrun
