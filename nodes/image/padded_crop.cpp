#include <algorithm>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/host/types/views.h"

namespace flowrun {
namespace {

struct PaddedCrop {
  static constexpr NodeInfo info{
      .type = "image.padded_crop",
      .brief = "A random square of a picture with a black border around it: the augmentation of CIFAR.",
      .scope = Scope::sample,
      .details =
          "torchvision's RandomCrop(size, padding=pad): every place is equally likely. A picture that is smaller than the square even with its "
          "border is an error. Each view is drawn separately; the places enter the ledger."};
  struct Ports {
    In<Image> image{"image", "H W 3 u8, or several views."};
    Out<Image> out{"image", "size size 3 u8."};
    void describe(auto& port) { port(image, out); }
  };
  struct Params {
    int64_t size = 32, pad = 4;
    void describe(auto& param) {
      param("size", size, Range{1, 16384}, "Side in pixels.");
      param("pad", pad, Range{0, 16384}, "Width of the border on each side, pixels.");
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.side = static_cast<double>(params.size);
    const double side = plan.known("image").side;
    if (side == 0 || side + 2 * static_cast<double>(params.pad) >= plan.side) return;
    plan.fault("size", "pictures of " + count_text(side) + " pixels with a border of " + std::to_string(params.pad) + " hold no square of " +
                           std::to_string(params.size));
  }

  void run(Ports& port, const SampleContext& context) const {
    const io::PixelBuffer& in = port.image->pixels;
    const int size = static_cast<int>(params.size), pad = static_cast<int>(params.pad);
    if (in.width + 2 * pad < size || in.height + 2 * pad < size) {
      throw NodeError("the picture is " + std::to_string(in.width) + "x" + std::to_string(in.height) + ", with a border of " + std::to_string(pad) +
                      " smaller than size = " + std::to_string(size) + "; put an image.resize before it");
    }
    io::PixelBuffer& out = port.out->pixels;
    out.reshape(size, size, in.channels, in.views);
    for (int view = 0; view < in.views; ++view) {
      Rng rng = image::rng_of(context, view);
      const int top = static_cast<int>(rng.below(static_cast<uint32_t>(in.height + 2 * pad - size + 1))) - pad;
      const int left = static_cast<int>(rng.below(static_cast<uint32_t>(in.width + 2 * pad - size + 1))) - pad;
      const int place[2] = {top, left};
      image::add_to_ledger(context, view, hash_bytes(place, sizeof place));
      cut(in, view, top, left, out);
    }
    port.out->covers = port.image->covers;
  }

 private:
  /// The square whose corner lies at row `top` and column `left` of the picture; black where it is outside.
  static void cut(const io::PixelBuffer& in, int view, int top, int left, io::PixelBuffer& out) {
    const auto channels = static_cast<size_t>(in.channels);
    const int size = out.width, first = std::max(0, -left), last = std::min(size, in.width - left);
    const uint8_t* const from = in.view(view).pixels;
    uint8_t* const to = out.at(view);
    std::fill_n(to, static_cast<size_t>(size) * static_cast<size_t>(size) * channels, uint8_t{0});
    for (int row = std::max(0, -top); row < std::min(size, in.height - top); ++row) {
      const size_t source = (static_cast<size_t>(top + row) * static_cast<size_t>(in.width) + static_cast<size_t>(left + first)) * channels;
      const size_t target = (static_cast<size_t>(row) * static_cast<size_t>(size) + static_cast<size_t>(first)) * channels;
      if (last > first) std::copy_n(from + source, static_cast<size_t>(last - first) * channels, to + target);
    }
  }
};

FLOWRUN_NODE(PaddedCrop);

}  // namespace
}  // namespace flowrun
