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
          "many of the hidden patches become targets (Fu et al., 2024; with ratio 0.75, kept 0.25 predicts one hidden patch in three). With "
          "ratio_final the ratio moves over the run, as in LMD; all groups of a step have one. With disjoint an image has several masks, side by "
          "side: row = image x disjoint + mask; each hides first what those before it left visible, the rest at random (DMJD): with disjoint x ratio "
          "of 1 or more every patch is hidden at least once. The masks enter the ledger."};
  struct Params : mask::PatchParam {
    double ratio = 0.75, ratio_final = 0, kept = 0;
    int64_t disjoint = 1;
    void describe(auto& param) {
      PatchParam::describe(param);
      param("ratio", ratio, Range{0, 1}, "Share of the patches that is hidden.");
      param("ratio_final", ratio_final, Range{0, 1}, "Ratio at the end of the run, reached linearly; 0: it stays.");
      param("kept", kept, Range{0, 1}, "Share of all patches that become targets, a random part of the hidden ones; 0: all of these.");
      param("disjoint", disjoint, Range{1, 64}, "Masks of an image, each of which hides first what the others have not.");
    }
    std::optional<ParamFault> check() const {
      const char* const fault = "kept is a share of all patches and can't be larger than ratio or ratio_final: targets are hidden";
      if (kept > ratio || (ratio_final > 0 && kept > ratio_final)) return ParamFault{"kept", fault};
      return {};
    }
  };
  Params params;

  /// The share that the last step hides is known before the run.
  void plan(NodePlan& plan) const {
    MaskNode::plan(plan);
    const double grid = plan.known("image").side / static_cast<double>(params.patch);
    if (params.ratio_final == 0 || grid == 0 || !plan.faults.empty()) return;
    const auto patches = static_cast<int64_t>(grid * grid), visible = mask::share_of(patches, 1 - params.ratio_final);
    if (visible > 0 && visible < patches) return;
    plan.fault("ratio_final", "in the end " + std::to_string(patches - visible) + " of " + std::to_string(patches) + " patches would be hidden",
               "some must be hidden and some visible");
  }

  void draw(int grid, int64_t images, const GroupContext& context, Masks& out) const {
    const int64_t step = context.run.schedule_step(context.step);
    const double ratio = params.ratio_final > 0 ? mask::ratio_at(params.ratio, params.ratio_final, step, context.run.total_steps) : params.ratio;
    mask::draw_random_patches({.grid = grid, .ratio = ratio, .kept = params.kept, .disjoint = params.disjoint}, context.rng(), images, out);
  }
};

FLOWRUN_NODE(Random);

}  // namespace
}  // namespace flowrun
