#include "graph/node.h"
#include "nodes/lib/host/mask/mask_node.h"
#include "nodes/lib/host/mask/random_patches.h"

namespace flowrun {
namespace {

struct Units {
  static constexpr NodeInfo info{
      .type = "mask.units",
      .brief = "SimMIM's masks: random square units of several patches hidden.",
      .scope = Scope::batch,
      .details =
          "Each image hides ceil(units ratio) of its units, drawn without replacement (Xie et al., 2022: units of 32 pixels, whatever the "
          "patch). The masks enter the ledger."};
  struct Ports {
    In<ImageBatch> image{"image", "The images to mask; gives their number and the grid."};
    Out<Masks> mask{"mask", "Visible B K, and the hidden patches as one region B 1 M."};
    void describe(auto& port) { port(image, mask); }
  };
  struct Params {
    int64_t patch = 16, unit = 32;
    double ratio = 0.6;
    void describe(auto& param) {
      param("patch", patch, positive, "Side of a patch, pixels; as the encoder's.");
      param("unit", unit, positive, "Side of a unit, pixels; a multiple of patch.");
      param("ratio", ratio, Range{0, 1}, "Share of the units that is hidden.");
    }
    std::optional<ParamFault> check() const {
      if (unit % patch != 0)
        return ParamFault{"unit",
                          "unit must be a multiple of patch, but " + std::to_string(unit) + " / " + std::to_string(patch) + " leaves a remainder"};
      return {};
    }
  };
  Params params;

  void run(Ports& port, const GroupContext& context) const {
    const int grid = mask::grid_of(*port.image, params.patch), unit = static_cast<int>(params.unit / params.patch);
    if (grid % unit != 0) {
      throw NodeError("images of " + std::to_string(port.image->width) + " pixels are not a whole number of units of " + std::to_string(params.unit) +
                      ": change unit");
    }
    mask::draw_random_units({.grid = grid, .unit = unit, .ratio = params.ratio}, context.rng(), context.images, *port.mask);
    mask::add_to_ledger(*port.mask, context.ledger);
  }
};

FLOWRUN_NODE(Units);

}  // namespace
}  // namespace flowrun
