#include "nodes/lib/tensor/model/rows.h"

#include <ATen/ops/arange.h>

#include "graph/node.h"
#include "nodes/lib/tensor/types/mask_rows.h"
#include "nodes/lib/tensor/types/tokens.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct TokenRows {
  static constexpr NodeInfo info{.type = "tokens.rows",
                                 .brief = "Patches of whole sequences as vectors: one row for each patch.",
                                 .scope = Scope::device,
                                 .details =
                                     "Rows come mask by mask, then patch by patch. They stay on the way of the gradient. All that a mask hides is "
                                     "taken, also where its lists are cut to the smallest count of the group. Without a mask all patches are taken.",
                                 .repeats = true};
  struct Ports {
    In<EncodedTokens> tokens{"tokens", "From encode.images."};
    In<DeviceMasks> mask{"mask", "Says which patches are hidden.", optional};
    Out<Vectors> vectors{"vectors", "n D."};
    void describe(auto& port) { port(tokens, mask, vectors); }
  };
  struct Params {
    std::string what = "hidden";
    void describe(auto& param) { param("what", what, choices(), "Which patches: those that the mask hides, those that it leaves, or all."); }
    static const Choices& choices() {
      static const Choices choices = {"hidden", "visible", "all"};
      return choices;
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const Planned tokens = plan.known("tokens");
    if (params.what != "all" && !plan.in.contains("mask"))
      plan.fault("mask", no_mask(), "connect the mask that the encoder got, or set what to \"all\"");
    const double all = tokens.rows * tokens.grid * tokens.grid, hidden = plan.group.rows * plan.group.masks.hidden;
    // Before any mask is drawn it is not known how many are hidden.
    const double visible = hidden > 0 ? all - hidden : 0;
    plan.out["vectors"] = Vectors::planned(params.what == "all" ? all : params.what == "hidden" ? hidden : visible, tokens.width);
    if (params.what == "all") plan.out["vectors"].grid = tokens.grid;
    const double masks = plan.known("mask").grid;
    if (masks == 0 || tokens.grid == 0 || masks == tokens.grid) return;
    plan.fault("mask", "the masks are for a grid of " + count_text(masks) + " patches a side, the tokens of " + count_text(tokens.grid),
               "connect the mask that the encoder got");
  }

  void run(Ports& port, const GroupContext&) const {
    const Tensor& patches = port.tokens->patch_BND;
    if (!patches.defined())
      throw NodeError("there are no tokens: the encoder's batch norms normalise each view separately; set its statistics to \"batch\"");
    Vectors& out = *port.vectors;
    out.images = patches.size(0), out.views = port.tokens->views;
    if (params.what == "all") {
      out.values_nD = patches.flatten(0, 1);
      out.image_n = at::arange(patches.size(0), patches.options().dtype(at::kLong)).repeat_interleave(patches.size(1));
      return;
    }
    if (!port.mask) throw NodeError(no_mask());
    const DeviceMasks& masks = *port.mask;
    if (!masks.ordered_n.defined() || masks.ordered_n.size(0) != patches.size(0) * patches.size(1)) {
      throw NodeError("the masks are not those of the tokens: connect the mask that the encoder got");
    }
    const Tensor places = params.what == "hidden" ? masks.hidden_n() : masks.visible_n();
    out.values_nD = model::flat_rows(patches, places);
    out.image_n = places.div(patches.size(1), "floor");
  }

 private:
  std::string no_mask() const { return "what is \"" + params.what + "\", but no mask is connected"; }
};

FLOWRUN_NODE(TokenRows);

}  // namespace
}  // namespace flowrun
