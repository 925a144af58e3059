#include "graph/node.h"
#include "nodes/lib/host/mask/mask_node.h"
#include "nodes/lib/host/mask/visible_blocks.h"

namespace flowrun {
namespace {

struct CyclicBlock : mask::MaskNode<CyclicBlock> {
  static constexpr NodeInfo info{
      .type = "mask.cyclic_block",
      .brief = "One visible block that wraps around the edges, so that every patch is visible equally often; the rest is hidden.",
      .scope = Scope::batch,
      .details =
          "As CAPI (Darcet et al., 2025) and Franca draw it: a block of the visible area with log-uniform aspect at a random place, cut to the exact "
          "count in its last rows, then shifted around both axes. Without roll it is CAPI's inverse block, whose middle is visible far more often "
          "than its rim. The ratio is drawn once per group, so that all its images have as many visible patches. predicted is the share of the "
          "hidden patches that become targets, chosen at random (CAPI: ratio 0.65, predicted 0.05). With spread exactly masked_share of the images "
          "is masked, each with a ratio of its own, evenly over the range (Franca: 0.1 to 0.65 of half of the large crops); then the lists have no "
          "targets, only the map has. The masks enter the ledger."};
  struct Ports : mask::Ports {
    Ports() : mask::Ports("Visible B K, targets B 1 M, and with spread the map of all that is hidden.") {}
  };
  struct Params : mask::PatchParam {
    std::vector<double> ratio = {0.75, 0.75};
    std::vector<double> spread;
    double aspect = 0.5, predicted = 1, masked_share = 0.5;
    bool roll = true;
    void describe(auto& param) {
      PatchParam::describe(param);
      param("ratio", ratio, Range{0, 1}, "Smallest and largest share of the patches that is hidden; one draw per group.");
      param("aspect", aspect, Range{0.01, 1}, "Smallest height over width of the block; the largest is its inverse (Franca: 0.3).");
      param("roll", roll, "Shift the block around both axes.");
      param("spread", spread, Range{0, 1}, "Smallest and largest ratio over the images that are masked; empty: ratio for all.");
      param("masked_share", masked_share, Range{0, 1}, "With spread: share of the images that are masked.");
      param("predicted", predicted, Range{0, 1}, "Share of the hidden patches that become targets; at least one does.");
    }
    std::optional<ParamFault> check() const {
      if (auto fault = mask::check_ranges({{"ratio", &ratio}})) return fault;
      return mask::check_spread(spread);
    }
  };
  Params params;

  void draw(int grid, int64_t images, const GroupContext& context, Masks& out) const {
    mask::RolledBlock options{.grid = grid,
                              .ratio_low = params.ratio[0],
                              .ratio_high = params.ratio[1],
                              .aspect = params.aspect,
                              .roll = params.roll,
                              .predicted = params.predicted,
                              .masked_share = params.masked_share};
    if (!params.spread.empty()) options.spread_low = params.spread[0], options.spread_high = params.spread[1];
    mask::draw_rolled_block(options, context.rng(), images, out);
  }
};

FLOWRUN_NODE(CyclicBlock);

}  // namespace
}  // namespace flowrun
