#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct TokensMean {
  static constexpr NodeInfo info{
      .type = "tokens.mean",
      .brief = "The mean of the visible patches of each mask, one vector each: what C-JEPA keeps from collapsing.",
      .scope = Scope::device,
      .details = "After the encoder's final norm. With several masks per image there are as many vectors. Gradients go back to the encoder.",
      .repeats = true};
  struct Ports {
    In<VisibleTokens> tokens{"tokens", "From mim.encode_visible."};
    Out<Vectors> vectors{"vectors", "One row of D for each mask."};
    void describe(auto& port) { port(tokens, vectors); }
  };

  void plan(NodePlan& plan) const { plan.out["vectors"] = Vectors::planned(plan.group.rows, plan.known("tokens").width); }

  void run(Ports& port, const GroupContext&) const {
    const Tensor& patches = port.tokens->patch_BKD;
    if (patches.size(1) == 0) throw NodeError("no patch is visible, so there is no mean");
    *port.vectors = {.values_nD = patches.mean(1), .views = 1, .image_n = {}, .images = patches.size(0)};
  }
};

FLOWRUN_NODE(TokensMean);

}  // namespace
}  // namespace flowrun
