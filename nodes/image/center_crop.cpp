#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/host/types/host_types.h"

namespace flowrun {
namespace {

struct CenterCrop {
  static constexpr NodeInfo info{
      .type = "image.center_crop",
      .brief = "Cuts a centred square out of the picture.",
      .scope = Scope::sample,
      .details = "torchvision 0.26's CenterCrop, in every bit; a picture smaller than the square is an error, not padded."};
  struct Ports {
    In<Image> image{"image", "H W 3 u8, at least size by size, or several views."};
    Out<Image> out{"image", "size size 3 u8."};
    void describe(auto& port) { port(image, out); }
  };
  struct Params {
    int64_t size = 224;
    void describe(auto& param) { param("size", size, Range{1, 16384}, "Side in pixels."); }
  };
  Params params;

  void plan(NodePlan& plan) const { plan.side = static_cast<double>(params.size); }

  void run(Ports& port, const SampleContext&) const {
    const io::PixelBuffer& in = port.image->pixels;
    const int size = static_cast<int>(params.size);
    if (in.width < size || in.height < size) {
      throw NodeError("the picture is " + std::to_string(in.width) + "x" + std::to_string(in.height) +
                      ", smaller than size = " + std::to_string(size) + "; put an image.resize before it");
    }
    // Half to even, as Python's round() in torchvision.
    const auto half = [](int n) { return n / 2 + (n % 4 == 3 ? 1 : 0); };
    const int top = half(in.height - size), left = half(in.width - size);
    const auto channels = static_cast<size_t>(in.channels);
    const size_t row = params.size * channels;
    port.out->pixels.reshape(size, size, in.channels, in.views);
    for (int r = 0; r < size * in.views; ++r) {
      const uint8_t* picture = in.view(r / size).pixels;
      const uint8_t* from = picture + (static_cast<size_t>(top + r % size) * static_cast<size_t>(in.width) + static_cast<size_t>(left)) * channels;
      std::copy_n(from, row, port.out->pixels.pixels.data() + static_cast<size_t>(r) * row);
    }
    port.out->covers = port.image->covers;
  }
};

FLOWRUN_NODE(CenterCrop);

}  // namespace
}  // namespace flowrun
