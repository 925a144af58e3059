#include "graph/node.h"
#include "nodes/lib/host/mask/mask_node.h"
#include "nodes/lib/host/mask/visible_blocks.h"

namespace flowrun {
namespace {

struct InverseBlock : mask::MaskNode<InverseBlock> {
  static constexpr NodeInfo info{
      .type = "mask.inverse_block",
      .brief = "data2vec 2.0's masks: the patches in random squares are visible, the rest is hidden; several masks per image.",
      .scope = Scope::batch,
      .details =
          "int(N (keep + adjust) / length^2) squares at random centres (Baevski et al., 2022), pressed onto the grid at its edges; then random "
          "single patches are added or removed until exactly int(N keep) are visible. With repeats an image has several masks that share the "
          "teacher's pass; they lie side by side: row = image x repeats + repeat. The masks enter the ledger."};
  struct Ports : mask::Ports {
    Ports() : mask::Ports("Visible B K, and the hidden patches as one region B 1 M; B counts the masks.") {}
  };
  struct Params : mask::PatchParam {
    int64_t length = 3, repeats = 1;
    double keep = 0.2, adjust = 0.07;
    void describe(auto& param) {
      PatchParam::describe(param);
      param("keep", keep, Range{0, 1}, "Share of the patches that is visible.");
      param("adjust", adjust, Range{0, 1}, "Added to keep when the number of squares is computed, since they overlap.");
      param("length", length, Range{1, 64}, "Side of a square, patches.");
      param("repeats", repeats, Range{1, 64}, "Masks of an image.");
    }
  };
  Params params;

  void draw(int grid, int64_t images, const GroupContext& context, Masks& out) const {
    const mask::SquareBlocks options{
        .grid = grid, .keep = params.keep, .adjust = params.adjust, .length = static_cast<int>(params.length), .repeats = params.repeats};
    mask::draw_square_blocks(options, context.rng(), images, out);
  }
};

FLOWRUN_NODE(InverseBlock);

}  // namespace
}  // namespace flowrun
