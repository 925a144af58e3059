#include "graph/node.h"
#include "nodes/mask/mask_node.h"
#include "nodes/mask/multi_block.h"

namespace flowrun {
namespace {

struct IjepaFixed {
  static constexpr NodeInfo info{
      .type = "mask.ijepa_fixed",
      .brief = "I-JEPA's multi-block masks as its paper means them, without the defects of its code.",
      .scope = Scope::batch,
      .details =
          "The ranges are I-JEPA's; area and aspect of a group's regions are drawn independently (both uniform), positions reach every row and "
          "column, and images with more visible patches than the group's smallest count lose them from a random corner inwards, as in "
          "mask.rectangles. Unlike there all regions have the same orientation. Sizes differ between ranks. The masks enter the ledger."};
  struct Ports {
    In<ImageBatch> image{"image", "The images to mask; gives their number and the grid."};
    Out<Masks> mask{"mask", "Visible B K and targets B R M."};
    void describe(auto& port) { port(image, mask); }
  };
  struct Params {
    int64_t patch = 16, regions = 4, min_keep = 10;
    std::vector<double> size = {0.15, 0.2}, aspect = {0.75, 1.5}, context = {0.85, 1.0};
    void describe(auto& param) {
      param("patch", patch, positive, "Side of a patch, pixels; as the encoder's.");
      param("regions", regions, Range{1, 16}, "Target regions of an image.");
      param("size", size, Range{0, 1}, "Smallest and largest share of the patches in a region.");
      param("aspect", aspect, Range{0.01, 100}, "Smallest and largest height over width of a region.");
      param("context", context, Range{0, 1}, "Smallest and largest share of the patches in the square that may be visible.");
      param("min_keep", min_keep, positive, "Fewest visible patches; images with fewer are drawn again.");
    }
    std::optional<ParamFault> check() const {
      const std::pair<const char*, const std::vector<double>&> ranges[] = {{"size", size}, {"aspect", aspect}, {"context", context}};
      for (const auto& [name, range] : ranges) {
        if (range.size() != 2 || range[0] > range[1]) return ParamFault{name, std::string(name) + " must be two numbers, the smaller first"};
      }
      return {};
    }
  };
  Params params;

  void run(Ports& port, const GroupContext& context) const {
    const mask::MultiBlock options{.grid = mask::grid_of(*port.image, params.patch),
                                   .regions = static_cast<int>(params.regions),
                                   .size_low = params.size[0],
                                   .size_high = params.size[1],
                                   .aspect_low = params.aspect[0],
                                   .aspect_high = params.aspect[1],
                                   .log_aspect = false,
                                   .background_low = params.context[0],
                                   .background_high = params.context[1],
                                   .min_keep = static_cast<int>(params.min_keep),
                                   .alternate = false};
    thread_local mask::BlockMasks drawn;
    mask::draw_masks(options, context.rng(), context.images, drawn);
    mask::take(drawn, options, context.images, *port.mask);
    mask::add_to_ledger(*port.mask, context.ledger);
  }
};

FLOWRUN_NODE(IjepaFixed);

}  // namespace
}  // namespace flowrun
