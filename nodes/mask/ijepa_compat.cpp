#include "graph/node.h"
#include "nodes/lib/host/mask/ijepa_blocks.h"
#include "nodes/lib/host/mask/ijepa_params.h"

namespace flowrun {
namespace {

struct IjepaCompat : mask::MaskNode<IjepaCompat> {
  static constexpr NodeInfo info{
      .type = "mask.ijepa_compat",
      .brief = "I-JEPA's multi-block masks as its code draws them, defects included, to reproduce its results.",
      .scope = Scope::batch,
      .details =
          "Follows the public code, not the paper (Assran et al., 2023). One random number gives both area and aspect of the regions. A side is cut "
          "to one less than the grid and the upper bounds of positions are exclusive: the last row and column are never seen or predicted, and on 14 "
          "x 14 the context is always the upper left 13 x 13. A context of min_keep patches or fewer is drawn again; every 20 times one constraint "
          "is dropped, so that it may overlap targets. All images are cut to the smallest count of the group from behind, so the bottom is seen "
          "least. Sizes are seeded by the count of groups of the process alone: the same for every seed and on every rank. Positions are random as "
          "elsewhere. For new work use mask.rectangles, or mask.ijepa_fixed. The masks enter the ledger."};
  using Ports = mask::RegionPorts;
  using Params = mask::IjepaParams;
  Params params;

  void draw(int grid, int64_t images, const GroupContext& context, Masks& out) const {
    const mask::IjepaBlocks options{.grid = grid,
                                    .regions = static_cast<int>(params.regions),
                                    .size_low = params.size[0],
                                    .size_high = params.size[1],
                                    .aspect_low = params.aspect[0],
                                    .aspect_high = params.aspect[1],
                                    .context_low = params.context[0],
                                    .context_high = params.context[1],
                                    .min_keep = static_cast<int>(params.min_keep)};
    // Groups that this rank had before, as the code's counter has it.
    const int64_t in_step =
        static_cast<int64_t>(context.group % static_cast<uint64_t>(context.groups * context.run.world)) - context.groups * context.run.rank;
    const auto counter = static_cast<uint64_t>((context.step - 1) * context.groups + in_step);
    const Rng sizes(0, hash_text("mask.ijepa_compat"), 0, counter);
    mask::draw_ijepa_blocks(options, sizes, context.rng(), images, out);
  }
};

FLOWRUN_NODE(IjepaCompat);

}  // namespace
}  // namespace flowrun
