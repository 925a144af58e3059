#include "graph/node.h"
#include "nodes/lib/host/mask/beit_blocks.h"
#include "nodes/lib/host/mask/mask_node.h"

namespace flowrun {
namespace {

struct Blockwise : mask::MaskNode<Blockwise> {
  static constexpr NodeInfo info{
      .type = "mask.blockwise",
      .brief = "BEiT's masks: blocks of random size and aspect, until enough is hidden.",
      .scope = Scope::batch,
      .details =
          "Algorithm 1 of Bao et al. (2022), as their code has it: a block is tried ten times, and must hide something new but no more than is left "
          "to hide; when all tries fail the image stays a little below its count (with 75 of 14 x 14: 74.5 on average). Counts therefore differ: the "
          "mask's map holds all that is hidden, while the lists of visible and target patches are cut at random to the smallest count of the group. "
          "exact hides random single patches until the count is met, and no map is needed. With spread exactly masked_share of the images is "
          "masked, each with a ratio of its own, evenly over the range, as DINOv2 does: half of the large crops, min_block 4, max_block half of the "
          "patches. With choice each image draws one of the pairs and a ratio within it, as iBOT does: [[0, 0], [0.3, 0.2]] leaves an image "
          "whole, or hides 0.1 to 0.5 of it, by a fair coin; min_block is (grid / 3)^2 there, 16 of 14 x 14. With either the lists have no "
          "targets, only the map has. iBOT leaves an image whole where ten tries fail; here they are repeated. The masks enter the ledger."};
  struct Ports : mask::Ports {
    Ports() : mask::Ports("Visible B K, targets B 1 M, and the map of all that is hidden where counts may differ.") {}
  };
  struct Params : mask::PatchParam {
    int64_t count = 0, min_block = 16, max_block = 0;
    double ratio = 0.4, aspect = 0.3, masked_share = 0.5;
    std::vector<double> spread, choice;
    bool exact = false;
    void describe(auto& param) {
      PatchParam::describe(param);
      param("count", count, not_negative, "Patches to hide, for one grid (BEiT: 75 of 14 x 14); 0: by ratio.");
      param("ratio", ratio, Range{0, 1}, "Share of the patches to hide (MaskFeat: 0.4, data2vec: 0.6).");
      param("min_block", min_block, positive, "Smallest area of a block, patches.");
      param("max_block", max_block, not_negative, "Most patches that one block hides (DINOv2: half of all); 0: any number.");
      param("aspect", aspect, Range{0.01, 1}, "Smallest height over width of a block; the largest is its inverse; log-uniform.");
      param("exact", exact, "Hide exactly as many as asked for.");
      param("spread", spread, Range{0, 1}, "Smallest and largest ratio over the images that are masked (DINOv2: 0.1, 0.5); empty: ratio for all.");
      param("masked_share", masked_share, Range{0, 1}, "With spread: share of the images that are masked.");
      param.pairs("choice", choice, Range{0, 1},
                  "Pairs [ratio, spread] of which each image draws one, all equally likely, and then its share from ratio - spread to ratio + "
                  "spread (iBOT: [[0, 0], [0.3, 0.2]]).");
    }
    std::optional<ParamFault> check() const {
      if (max_block > 0 && max_block < min_block) return ParamFault{"max_block", "max_block can't be smaller than min_block"};
      if (!choice.empty()) return check_choice();
      if (spread.empty()) return {};
      if (auto fault = mask::check_spread(spread)) return fault;
      if (count > 0) return ParamFault{"count", "count and spread both say how much is hidden: remove one"};
      return {};
    }

   private:
    std::optional<ParamFault> check_choice() const {
      if (!spread.empty()) return ParamFault{"spread", "spread and choice both say how much is hidden: remove one"};
      if (count > 0) return ParamFault{"count", "count and choice both say how much is hidden: remove one"};
      double most = 0;
      for (size_t i = 0; i < choice.size(); i += 2) {
        if (choice[i + 1] > choice[i]) return ParamFault{"choice", "a ratio of choice must be at least its spread: no image hides less than nothing"};
        most = std::max(most, choice[i] + choice[i + 1]);
      }
      if (most == 0 || most >= 1)
        return ParamFault{"choice", "the largest ratio + spread of choice must be between 0 and 1: something is hidden, not everything"};
      return {};
    }
  };
  Params params;

  void draw(int grid, int64_t images, const GroupContext& context, Masks& out) const {
    mask::BeitBlocks options{.grid = grid,
                             .count = params.count,
                             .min_block = params.min_block,
                             .max_block = params.max_block,
                             .aspect = params.aspect,
                             .exact = params.exact,
                             .masked_share = params.masked_share};
    for (size_t i = 0; i < params.choice.size(); i += 2) options.choice.push_back({params.choice[i], params.choice[i + 1]});
    if (!params.spread.empty()) options.spread_low = params.spread[0], options.spread_high = params.spread[1];
    if (!options.varies()) count_patches(options);
    mask::draw_beit_blocks(options, context.rng(), images, out);
  }

 private:
  void count_patches(mask::BeitBlocks& options) const {
    const int64_t patches = int64_t{options.grid} * options.grid;
    if (options.count == 0) options.count = mask::share_of(patches, params.ratio);
    const std::string wanted = std::to_string(options.count) + " of " + std::to_string(patches) + " patches are to be hidden";
    if (options.count < 1 || options.count >= patches) throw NodeError(wanted + ": some must be hidden and some visible");
    if (options.count < params.min_block)
      throw NodeError(wanted + ", fewer than min_block = " + std::to_string(params.min_block) + ": make min_block smaller");
  }
};

FLOWRUN_NODE(Blockwise);

}  // namespace
}  // namespace flowrun
