#include "io/resize.h"

#include <cmath>

#include "graph/node.h"
#include "nodes/host.h"

namespace flowrun {
namespace {

struct Resize {
  static constexpr NodeInfo info{
      .type = "image.resize",
      .brief = "Resizes to a square, or to a shortest side, with antialias.",
      .scope = Scope::sample,
      .details =
          "Equal to Pillow 12's Image.resize in every bit. With a region connected, a picture that was decoded whole is cut to it first, so "
          "that decoding whole or by region makes no difference."};
  struct Ports {
    In<Image> image{"image", "H W 3 u8."};
    In<Region> region{"region", "The part to take, in pixels of the whole picture.", optional};
    Out<Image> out{"image", "size size 3 u8, or the shortest side is size."};
    void describe(auto& port) { port(image, region, out); }
  };
  struct Params {
    int64_t size = 224;
    std::string filter = "bicubic";
    std::string fit = "square";
    void describe(auto& param) {
      param("size", size, Range{1, 16384}, "Side in pixels.");
      param("filter", filter, filters(), "Interpolation.");
      param("fit", fit, fits(), "square: both sides become size. shortest: the shortest side does, the aspect stays.");
    }
    static const Choices& filters() {
      static const Choices choices = {"bicubic", "bilinear"};
      return choices;
    }
    static const Choices& fits() {
      static const Choices choices = {"square", "shortest"};
      return choices;
    }
  };
  Params params;

  void run(Ports& port, const SampleContext&) const {
    thread_local io::Resizer resizer;
    thread_local std::vector<uint8_t> cut;
    io::ImageView source = port.image->pixels.view();
    if (port.region && !(port.region->rect == port.image->covers)) source = cut_out(*port.image, port.region->rect, cut);
    int height = static_cast<int>(params.size), width = height;
    if (params.fit == "shortest") {
      // torchvision: the longer side is truncated to an integer.
      const auto size = params.size;
      if (source.width <= source.height) height = static_cast<int>(size * source.height / source.width);
      if (source.height < source.width) width = static_cast<int>(size * source.width / source.height);
    }
    port.out->pixels.reshape(height, width, source.channels);
    resizer.resize(source, height, width, params.filter == "bicubic" ? io::Filter::bicubic : io::Filter::bilinear, false,
                   port.out->pixels.pixels.data());
    port.out->covers = port.region ? port.region->rect : port.image->covers;
  }

 private:
  static io::ImageView cut_out(const Image& image, const io::Rect& rect, std::vector<uint8_t>& buffer) {
    const io::Rect& all = image.covers;
    const int x = rect.x - all.x, y = rect.y - all.y;
    if (x < 0 || y < 0 || x + rect.width > image.pixels.width || y + rect.height > image.pixels.height) {
      throw NodeError("the region is not inside the picture that was decoded; give jpeg_decode the same region, or none");
    }
    const auto channels = static_cast<size_t>(image.pixels.channels);
    const size_t row = static_cast<size_t>(rect.width) * channels;
    buffer.resize(row * static_cast<size_t>(rect.height));
    for (int r = 0; r < rect.height; ++r) {
      const uint8_t* from =
          image.pixels.pixels.data() + (static_cast<size_t>(y + r) * static_cast<size_t>(image.pixels.width) + static_cast<size_t>(x)) * channels;
      std::copy_n(from, row, buffer.data() + static_cast<size_t>(r) * row);
    }
    return {buffer.data(), rect.height, rect.width, image.pixels.channels};
  }
};

FLOWRUN_NODE(Resize);

}  // namespace
}  // namespace flowrun
