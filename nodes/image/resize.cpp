#include "io/resize/resize.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/host/types/views.h"

namespace flowrun {
namespace {

struct Resize {
  static constexpr NodeInfo info{
      .type = "image.resize",
      .brief = "Resizes to a square, or to a shortest side, with antialias.",
      .scope = Scope::sample,
      .details =
          "Equal to Pillow 12's Image.resize in every bit. With a region connected, a picture that was decoded whole is cut to it first, so that "
          "decoding whole or by region makes no difference. Each of several regions becomes a view of its own."};
  struct Ports {
    In<Image> image{"image", "H W 3 u8."};
    In<Region> region{"region", "The part to cut out, in pixels of the whole picture.", optional};
    Out<Image> out{"image", "size size 3 u8, or the shortest side is size; a view for each region."};
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

  void plan(NodePlan& plan) const {
    if (params.fit == "square") plan.side = static_cast<double>(params.size);
    const bool cuts = plan.in.contains("region");
    const double views = plan.known("image").views, regions = plan.known("region").views;
    plan.out["image"].views = std::max(1.0, cuts ? regions : views);
    if (cuts && views > 1) plan.fault("region", "the picture comes in " + count_text(views) + " views already", "connect no region to this node");
    if (params.fit == "shortest" && regions > 1) {
      plan.fault("fit", "the views of a picture must have one size, but with fit = shortest each has its own", "set fit to square");
    }
  }

  void run(Ports& port, const SampleContext&) const {
    thread_local io::Resizer resizer;
    thread_local io::PixelBuffer cut;
    const Image& image = *port.image;
    if (port.region && image.pixels.views > 1) {
      throw FatalNodeError("the picture comes in " + std::to_string(image.pixels.views) + " views already; connect no region to this node");
    }
    const int views = port.region ? port.region->count() : image.pixels.views;
    for (int view = 0; view < views; ++view) {
      const Region region = port.region ? part(*port.region, view) : image.covers;
      const bool whole = !port.region || region == image.covers;
      const io::ImageView source = whole ? image.pixels.view(port.region ? 0 : view) : cut_out(image, region, cut);
      const auto [height, width] = size_of(source);
      if (view > 0 && (height != port.out->pixels.height || width != port.out->pixels.width)) {
        throw FatalNodeError("the views of a picture must have one size, but with fit = shortest each has its own; set fit to square");
      }
      if (view == 0) port.out->pixels.reshape(height, width, source.channels, views);
      resizer.resize(source, height, width, params.filter == "bicubic" ? io::Filter::bicubic : io::Filter::bilinear, false,
                     port.out->pixels.at(view));
    }
    port.out->covers = port.region ? Region{port.region->rect, port.region->oriented} : image.covers;
  }

 private:
  static Region part(const Region& region, int view) {
    return {region.views.empty() ? region.rect : region.views[static_cast<size_t>(view)], region.oriented};
  }

  /// Height and width of the resized picture.
  std::pair<int, int> size_of(const io::ImageView& source) const {
    int height = static_cast<int>(params.size), width = height;
    if (params.fit == "shortest") {
      // torchvision: the longer side is truncated to an integer.
      const auto size = params.size;
      if (source.width <= source.height) height = static_cast<int>(size * source.height / source.width);
      if (source.height < source.width) width = static_cast<int>(size * source.width / source.height);
    }
    return {height, width};
  }

  /// For a picture that was shrunk while decoding: the pixels nearest to the region's.
  static io::ImageView cut_out(const Image& image, const Region& region, io::PixelBuffer& buffer) {
    const io::Rect &all = image.covers.rect, &rect = region.rect;
    if (region.oriented != image.covers.oriented) {
      throw NodeError("the region and the picture differ in \"orientation\"; give the nodes that choose the region and that decode the same");
    }
    if (rect.x < all.x || rect.y < all.y || rect.x + rect.width > all.x + all.width || rect.y + rect.height > all.y + all.height) {
      throw NodeError("the region is not inside the picture that was decoded; give image.decode the same region, or none");
    }
    const auto place = [](int at, int covered, int pixels) { return static_cast<int>(std::lround(static_cast<double>(at) * pixels / covered)); };
    const auto span = [&](int begin, int length, int covered, int pixels) {
      const int first = std::min(place(begin, covered, pixels), pixels - 1);
      return std::pair(first, std::max(place(begin + length, covered, pixels) - first, 1));
    };
    const auto [x, width] = span(rect.x - all.x, rect.width, all.width, image.pixels.width);
    const auto [y, height] = span(rect.y - all.y, rect.height, all.height, image.pixels.height);
    io::copy_rect(image.pixels, {x, y, width, height}, buffer);
    return buffer.view();
  }
};

FLOWRUN_NODE(Resize);

}  // namespace
}  // namespace flowrun
