#include "graph/node.h"
#include "nodes/lib/host/mask/mask_node.h"
#include "nodes/lib/host/mask/multi_block.h"

namespace flowrun {
namespace {

struct Rectangles : mask::MaskNode<Rectangles> {
  static constexpr NodeInfo info{
      .type = "mask.rectangles",
      .brief = "Bootleg's masks: rectangular target regions; the rest of a background square is visible.",
      .scope = Scope::batch,
      .details =
          "Sizes are drawn once per group, positions per image. All images of a group keep as many visible patches as the one that has "
          "fewest: the others lose patches from a random corner inwards. So the number depends on the group's size (256 in the paper: 29 % "
          "visible). The default ranges are fitted to the paper's table of shapes on a 14 x 14 grid; on a grid of 4 x 4 or smaller they "
          "must be given. The masks enter the ledger."};
  using Ports = mask::RegionPorts;
  struct Params : mask::PatchParam {
    int64_t regions = 4, min_keep = 10;
    std::vector<double> size = {0.163, 0.180}, aspect = {2.0 / 3.0, 3.0 / 2.0}, background = {0.85, 1.0};
    bool alternate = true;
    void describe(auto& param) {
      PatchParam::describe(param);
      param("regions", regions, Range{1, 16}, "Target regions of an image.");
      param("size", size, Range{0, 1}, "Smallest and largest share of the patches in a region.");
      param("aspect", aspect, Range{0.01, 100}, "Smallest and largest height over width of a region; log-uniform.");
      param("background", background, Range{0, 1}, "Smallest and largest share of the patches in the square that may be visible.");
      param("min_keep", min_keep, positive, "Fewest visible patches; images with fewer are drawn again.");
      param("alternate", alternate, "Swap height and width in every second region.");
    }
    std::optional<ParamFault> check() const { return mask::check_ranges({{"size", &size}, {"aspect", &aspect}, {"background", &background}}); }
  };
  Params params;

  void draw(int grid, int64_t images, const GroupContext& context, Masks& out) const {
    if (grid <= 4 && params.size == Params{}.size) {
      throw NodeError("a grid of " + std::to_string(grid) + "x" + std::to_string(grid) +
                      " patches is too small for the default sizes: set size and aspect");
    }
    const mask::MultiBlock options{.grid = grid,
                                   .regions = static_cast<int>(params.regions),
                                   .size_low = params.size[0],
                                   .size_high = params.size[1],
                                   .aspect_low = params.aspect[0],
                                   .aspect_high = params.aspect[1],
                                   .background_low = params.background[0],
                                   .background_high = params.background[1],
                                   .min_keep = static_cast<int>(params.min_keep),
                                   .alternate = params.alternate};
    mask::draw_multi_block(options, context.rng(), images, out);
  }
};

FLOWRUN_NODE(Rectangles);

}  // namespace
}  // namespace flowrun
