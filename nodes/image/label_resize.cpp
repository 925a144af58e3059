#include <algorithm>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/host/types/views.h"

namespace flowrun {
namespace {

struct LabelResize {
  static constexpr NodeInfo info{
      .type = "image.label_resize",
      .brief = "Resizes a label map to a square; each pixel gets the class of the nearest one.",
      .scope = Scope::sample,
      .details = "Equal to Pillow's Image.resize with NEAREST in every pixel. With a region connected, the map is cut to it first."};
  struct Ports {
    In<LabelMap> label_map{"label_map", "H W u8, of the whole picture."};
    In<Region> region{"region", "The part to cut out, in pixels of the whole picture.", optional};
    Out<LabelMap> out{"label_map", "size size u8."};
    void describe(auto& port) { port(label_map, region, out); }
  };
  struct Params {
    int64_t size = 224;
    void describe(auto& param) { param("size", size, Range{1, 16384}, "Side in pixels."); }
  };
  Params params;

  void plan(NodePlan& plan) const { plan.side = static_cast<double>(params.size); }

  void run(Ports& port, const SampleContext&) const {
    const io::PixelBuffer& in = port.label_map->pixels;
    if (port.region) image::require_one_view(port.region->count(), "a label map");
    const io::Rect rect = port.region ? port.region->rect : io::Rect{0, 0, in.width, in.height};
    if (rect.x < 0 || rect.y < 0 || rect.x + rect.width > in.width || rect.y + rect.height > in.height) {
      throw NodeError("the region is not inside the label map of " + std::to_string(in.width) + "x" + std::to_string(in.height) +
                      ": image and label map differ in size");
    }
    thread_local std::vector<int> columns, rows;
    nearest(rect.x, rect.width, columns), nearest(rect.y, rect.height, rows);
    io::PixelBuffer& out = port.out->pixels;
    out.reshape(static_cast<int>(params.size), static_cast<int>(params.size), 1);
    uint8_t* to = out.pixels.data();
    for (const int row : rows) {
      const uint8_t* from = in.pixels.data() + static_cast<size_t>(row) * static_cast<size_t>(in.width);
      for (const int column : columns) *to++ = from[column];
    }
  }

 private:
  /// The pixel below each pixel's centre; the centre moves on by sums, as Pillow's does.
  void nearest(int begin, int length, std::vector<int>& out) const {
    const double scale = static_cast<double>(length) / static_cast<double>(params.size);
    double centre = 0.5 * scale;
    out.clear();
    for (int64_t i = 0; i < params.size; ++i, centre += scale) out.push_back(begin + std::min(static_cast<int>(centre), length - 1));
  }
};

FLOWRUN_NODE(LabelResize);

}  // namespace
}  // namespace flowrun
