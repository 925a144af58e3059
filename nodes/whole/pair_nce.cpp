#include "graph/node.h"
#include "nodes/lib/tensor/loss/coupled.h"
#include "nodes/lib/tensor/loss/coupling.h"
#include "nodes/lib/tensor/loss/view_loss.h"
#include "nodes/lib/tensor/model/rows.h"

namespace flowrun {
namespace {

struct PairNce {
  static constexpr NodeInfo info{
      .type = "whole.pair_nce",
      .brief = "Cross-entropy of each picture's text among all texts of the step, and of each text's picture: CLIP and ALIGN.",
      .scope = Scope::whole,
      .details =
          "Over the rows of all groups of the step, on all ranks: the products of scaled rows with rows of length 1 are logits; the mean of their "
          "cross-entropies along both sides, where row i answers with row i. Both sides are trained: loss.couple takes both, in this order."};
  struct Ports {
    In<Vectors> scaled{"scaled", "n D of one tower, behind vectors.scale: all of the length that the temperature gives."};
    In<Vectors> other{"other", "n D of the other tower; they are brought to length 1."};
    Out<Coupled> coupled{"coupled", "For loss.couple."};
    void describe(auto& port) { port(scaled, other, coupled); }
  };
  struct Params {
    double smoothing = 0;
    void describe(auto& param) { param("smoothing", smoothing, Range{0, 0.999}, "Share of the target that all rows get alike; ALIGN 0.1."); }
  };
  Params params;

  void plan(NodePlan& plan) const {
    loss::plan_gathered(plan, {"scaled", "other"});
    plan.require_equal("width", "scaled", &Planned::width, "other", "let the heads of both towers end in one width");
    plan.require_equal("number of views", "scaled", &Planned::views, "other", "a picture has one text, so take one view of it");
  }

  void fold(Ports& port, const FoldContext& context) { coupling_.take({&*port.scaled, &*port.other}, context); }
  void run(const WholeContext& context) {
    coupling_.run(context, [&](const std::vector<Tensor>& rows) {
      if (!checked_) loss::require_one_length(rows[0]), checked_ = true;
      return loss::pair_contrast(rows[0], model::unit_rows(rows[1]), params.smoothing);
    });
  }
  void give(Ports& port, const FoldContext& context) { coupling_.give(context, *port.coupled); }

 private:
  loss::Coupling coupling_{/*trained=*/2};
  bool checked_ = false;  // once: a GPU waits for it
};

FLOWRUN_NODE(PairNce);

}  // namespace
}  // namespace flowrun
