#include <algorithm>
#include <cmath>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "io/codec/image_decoder.h"
#include "nodes/lib/host/image/near.h"
#include "nodes/lib/host/types/views.h"

namespace flowrun {
namespace {

struct RandomCrop {
  static constexpr NodeInfo info{
      .type = "image.random_crop",
      .brief = "Chooses a random region of the picture from its header, before anything is decoded.",
      .scope = Scope::sample,
      .details =
          "torchvision's RandomResizedCrop.get_params: area uniform, aspect ratio log-uniform, ten tries, else the largest centred region of an "
          "allowed aspect. With a count above 1 that many regions are drawn, each as if alone. image.decode then decodes the smallest rectangle "
          "around them, and image.resize makes each region a view of the picture. With near a region is moved until it overlaps the smallest "
          "rectangle around those regions by at least half of the smaller height and width, and with pull the later ones of several likewise the "
          "first (UDI). The regions enter the ledger."};
  struct Ports {
    In<Bytes> bytes{"bytes", "A JPEG, PNG, WebP, GIF or TIFF file."};
    In<Region> near{"near", "Regions of the same picture that these are to overlap.", optional};
    Out<Region> region{"region", "The region, or count regions, in pixels of the whole picture."};
    void describe(auto& port) { port(bytes, near, region); }
  };
  struct Params {
    std::vector<double> area = {0.35, 1.0};
    std::vector<double> aspect = {3.0 / 4.0, 4.0 / 3.0};
    std::string orientation = "stored";
    int64_t count = 1;
    bool pull = false;
    void describe(auto& param) {
      param("area", area, Range{1e-4, 1}, "Smallest and largest share of the picture's area.");
      param("aspect", aspect, Range{1e-2, 1e2}, "Smallest and largest width over height.");
      param("orientation", orientation, orientations(), "Orientation of the picture that the region is chosen in; the same as at image.decode.");
      param("count", count, Range{1, 64}, "How many regions.");
      param("pull", pull, "Whether the regions behind the first are moved until they overlap it.");
    }
    static const Choices& orientations() {
      static const Choices choices = {"stored", "exif"};
      return choices;
    }
    std::optional<ParamFault> check() const {
      if (area.size() != 2 || area[0] > area[1]) return ParamFault{"area", "area must be two numbers, the smaller first"};
      if (aspect.size() != 2 || aspect[0] > aspect[1]) return ParamFault{"aspect", "aspect must be two numbers, the smaller first"};
      return {};
    }
  };
  Params params;

  void plan(NodePlan& plan) const { plan.views = static_cast<double>(params.count); }

  void run(Ports& port, const SampleContext& context) const {
    const io::ImageInfo picture = io::read_image_info(port.bytes->data);
    port.region->oriented = params.orientation == "exif";
    const io::Rect all = port.region->oriented ? io::turned_size(picture) : io::Rect{0, 0, picture.width, picture.height};
    port.region->views.clear();
    for (int view = 0; view < params.count; ++view) {
      Rng rng = image::rng_of(context, view);
      io::Rect rect = choose(all.width, all.height, rng);
      if (port.near) rect = image::pulled(rect, of_same_orientation(*port.near), all.width, all.height);
      if (params.pull && view > 0) rect = image::pulled(rect, port.region->views.front(), all.width, all.height);
      image::add_to_ledger(context, view, hash_bytes(&rect, sizeof rect));
      port.region->rect = view == 0 ? rect : around(port.region->rect, rect);
      if (params.count > 1) port.region->views.push_back(rect);
    }
  }

 private:
  const io::Rect& of_same_orientation(const Region& near) const {
    if (near.oriented != (params.orientation == "exif")) {
      throw FatalNodeError("the regions of near are chosen in another orientation: give both image.random_crop the same");
    }
    return near.rect;
  }
  static io::Rect around(const io::Rect& a, const io::Rect& b) {
    const int x = std::min(a.x, b.x), y = std::min(a.y, b.y);
    return {x, y, std::max(a.x + a.width, b.x + b.width) - x, std::max(a.y + a.height, b.y + b.height) - y};
  }

  io::Rect choose(int width, int height, Rng& rng) const {
    const double all = static_cast<double>(width) * height;
    for (int attempt = 0; attempt < 10; ++attempt) {
      const double area = all * rng.uniform(params.area[0], params.area[1]);
      const double ratio = std::exp(rng.uniform(std::log(params.aspect[0]), std::log(params.aspect[1])));
      const int w = static_cast<int>(std::lrint(std::sqrt(area * ratio)));
      const int h = static_cast<int>(std::lrint(std::sqrt(area / ratio)));
      if (w < 1 || h < 1 || w > width || h > height) continue;
      const int y = static_cast<int>(rng.below(static_cast<uint32_t>(height - h + 1)));
      const int x = static_cast<int>(rng.below(static_cast<uint32_t>(width - w + 1)));
      return {x, y, w, h};
    }
    const double ratio = static_cast<double>(width) / height;
    int w = width, h = height;
    if (ratio < params.aspect[0]) h = std::max(1, static_cast<int>(std::lrint(width / params.aspect[0])));
    if (ratio > params.aspect[1]) w = std::max(1, static_cast<int>(std::lrint(height * params.aspect[1])));
    w = std::min(w, width), h = std::min(h, height);
    return {(width - w) / 2, (height - h) / 2, w, h};
  }
};

FLOWRUN_NODE(RandomCrop);

}  // namespace
}  // namespace flowrun
