#include "graph/node.h"
#include "nodes/lib/host/mask/mask_node.h"
#include "nodes/lib/host/mask/random_patches.h"

namespace flowrun {
namespace {

struct Random : mask::MaskNode<Random> {
  static constexpr NodeInfo info{
      .type = "mask.random",
      .brief = "MAE's masks: random patches hidden.",
      .scope = Scope::batch,
      .details =
          "Each image keeps int(N (1 - ratio)) of its N patches, drawn without replacement (He et al., 2022). Its neighbours tell nearly everything "
          "about a hidden patch, so the task is easy: with targets that are features, not pixels, training can collapse. kept is CrossMAE's: only so "
          "many of the hidden patches become targets (Fu et al., 2024; with ratio 0.75, kept 0.25 predicts one hidden patch in three). The masks "
          "enter the ledger."};
  struct Params : mask::PatchParam {
    double ratio = 0.75, kept = 0;
    void describe(auto& param) {
      PatchParam::describe(param);
      param("ratio", ratio, Range{0, 1}, "Share of the patches that is hidden.");
      param("kept", kept, Range{0, 1}, "Share of all patches that become targets, a random part of the hidden ones; 0: all of these.");
    }
    std::optional<ParamFault> check() const {
      if (kept > ratio) return ParamFault{"kept", "kept is a share of all patches and can't be larger than ratio: targets are hidden"};
      return {};
    }
  };
  Params params;

  void draw(int grid, const GroupContext& context, Masks& out) const {
    mask::draw_random_patches({.grid = grid, .ratio = params.ratio, .kept = params.kept}, context.rng(), context.images, out);
  }
};

FLOWRUN_NODE(Random);

}  // namespace
}  // namespace flowrun
