#include "graph/node.h"
#include "nodes/lib/host/mask/ijepa_params.h"
#include "nodes/lib/host/mask/multi_block.h"

namespace flowrun {
namespace {

struct IjepaFixed : mask::MaskNode<IjepaFixed> {
  static constexpr NodeInfo info{
      .type = "mask.ijepa_fixed",
      .brief = "I-JEPA's multi-block masks as its paper means them, without the defects of its code.",
      .scope = Scope::batch,
      .details =
          "The ranges are I-JEPA's; area and aspect of a group's regions are drawn independently (both uniform), positions reach every row and "
          "column, and images with more visible patches than the group's smallest count lose them from a random corner inwards, as in "
          "mask.rectangles. Unlike there all regions have the same orientation. Sizes differ between ranks. The masks enter the ledger."};
  using Ports = mask::RegionPorts;
  using Params = mask::IjepaParams;
  Params params;

  void draw(int grid, int64_t images, const GroupContext& context, Masks& out) const {
    const mask::MultiBlock options{.grid = grid,
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
    mask::draw_multi_block(options, context.rng(), images, out);
  }
};

FLOWRUN_NODE(IjepaFixed);

}  // namespace
}  // namespace flowrun
