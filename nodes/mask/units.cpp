#include "graph/node.h"
#include "nodes/lib/host/mask/mask_node.h"
#include "nodes/lib/host/mask/random_patches.h"

namespace flowrun {
namespace {

struct Units : mask::MaskNode<Units> {
  static constexpr NodeInfo info{
      .type = "mask.units",
      .brief = "SimMIM's masks: random square units of several patches hidden.",
      .scope = Scope::batch,
      .details =
          "Each image hides ceil(units ratio) of its units, drawn without replacement (Xie et al., 2022: units of 32 pixels, whatever the "
          "patch). disjoint is as in mask.random, by units: DMJD has 2 masks of ratio 0.6. The masks enter the ledger."};
  struct Params : mask::PatchParam {
    int64_t unit = 32, disjoint = 1;
    double ratio = 0.6;
    void describe(auto& param) {
      PatchParam::describe(param);
      param("unit", unit, positive, "Side of a unit, pixels; a multiple of patch.");
      param("ratio", ratio, Range{0, 1}, "Share of the units that is hidden.");
      param("disjoint", disjoint, Range{1, 64}, "Masks of an image, each of which hides first what the others have not.");
    }
    std::optional<ParamFault> check() const {
      if (unit % patch != 0)
        return ParamFault{"unit",
                          "unit must be a multiple of patch, but " + std::to_string(unit) + " / " + std::to_string(patch) + " leaves a remainder"};
      return {};
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    MaskNode::plan(plan);
    const double side = plan.known("image").side, units = side / static_cast<double>(params.unit);
    if (plan.faults.empty() && units != static_cast<double>(static_cast<int64_t>(units))) {
      plan.fault("unit", "units of " + std::to_string(params.unit) + " pixels don't tile pictures of " + count_text(side));
    }
  }

  void draw(int grid, int64_t images, const GroupContext& context, Masks& out) const {
    const int unit = static_cast<int>(params.unit / params.patch);
    if (grid % unit != 0) {
      throw NodeError("images of " + std::to_string(grid * params.patch) + " pixels are not a whole number of units of " +
                      std::to_string(params.unit) + ": change unit");
    }
    mask::draw_random_units({.grid = grid, .unit = unit, .ratio = params.ratio, .disjoint = params.disjoint}, context.rng(), images, out);
  }
};

FLOWRUN_NODE(Units);

}  // namespace
}  // namespace flowrun
