#include "io/codec/blur.h"

#include <algorithm>

#include "graph/node.h"
#include "nodes/lib/host/types/views.h"

namespace flowrun {
namespace {

struct Blur {
  static constexpr NodeInfo info{
      .type = "image.blur",
      .brief = "Blurs with a Gaussian of random width, with a given chance.",
      .scope = Scope::sample,
      .details =
          "torchvision 0.26's RandomApply of GaussianBlur on Pillow 12 images: square kernel, reflected borders, float32. Two passes round "
          "differently from torchvision's one, so 2 pixel values in 100,000 differ by one level. A kernel_size of 0 is SimCLR's: a tenth of the "
          "shorter side, made odd: 2 * (side / 20) + 1 with the quotient rounded down, 23 for 224 pixels."};
  struct Ports {
    In<Image> image{"image", "H W 3 u8, or several views."};
    Out<Image> out{"image", "The same, blurred or not; each view is drawn separately.", InPlace{"image"}};
    void describe(auto& port) { port(image, out); }
  };
  struct Params {
    int64_t kernel_size = 0;
    std::vector<double> sigma = {0.1, 2};
    image::Chances p{0.5};
    void describe(auto& param) {
      param("kernel_size", kernel_size, Range{0, 1023}, "Side of the kernel, odd, pixels; 0: from the image's size.");
      param("sigma", sigma, Range{1e-3, 100}, "Smallest and largest standard deviation, pixels.");
      p.describe(param, "Chance that an image is blurred; a list: of each view.");
    }
    std::optional<ParamFault> check() const {
      if (sigma.size() != 2 || sigma[0] > sigma[1]) return ParamFault{"sigma", "sigma must be two numbers, the smaller first"};
      if (kernel_size > 0 && kernel_size % 2 == 0) return ParamFault{"kernel_size", "kernel_size must be odd, or 0"};
      return {};
    }
  };
  Params params;

  void plan(NodePlan& plan) const { params.p.plan(plan); }

  void run(Ports& port, const SampleContext& context) const {
    thread_local io::GaussianBlur gaussian;
    image::require_rgb(port.image->pixels);
    params.p.require(port.image->pixels.views);
    change_in_place(*port.image, *port.out);
    io::PixelBuffer& out = port.out->pixels;
    const int side = std::min(out.height, out.width);
    const int kernel_size = params.kernel_size > 0 ? static_cast<int>(params.kernel_size) : 2 * (side / 20) + 1;
    if (kernel_size / 2 >= side) {
      throw NodeError("the image is " + std::to_string(out.width) + "x" + std::to_string(out.height) +
                      ", too small for kernel_size = " + std::to_string(kernel_size) + "; put an image.resize before it or use a smaller kernel");
    }
    for (int view = 0; view < out.views; ++view) {
      Rng rng = image::rng_of(context, view);
      const bool blurred = rng.chance(params.p.of(view));
      const double sigma = rng.uniform(params.sigma[0], params.sigma[1]);
      image::add_to_ledger(context, view, blurred ? hash_bytes(&sigma, sizeof sigma) : 1);
      if (blurred) gaussian.blur(out.at(view), out.height, out.width, kernel_size, sigma);
    }
  }
};

FLOWRUN_NODE(Blur);

}  // namespace
}  // namespace flowrun
