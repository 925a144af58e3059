#include "graph/node.h"
#include "nodes/lib/tensor/loss/coupled.h"
#include "nodes/lib/tensor/loss/coupling.h"
#include "nodes/lib/tensor/loss/view_loss.h"
#include "nodes/lib/tensor/model/rows.h"

namespace flowrun {
namespace {

struct WholeInfoNce {
  static constexpr NodeInfo info{
      .type = "whole.info_nce",
      .brief = "Cross-entropy of each query's key, from the picture's other view, among the keys of the whole step: MoCo v3's loss.",
      .scope = Scope::whole,
      .details =
          "Over the rows of all groups of the step, on all ranks, brought to length 1: the cross-entropy of the products over the temperature among "
          "that view's keys of all pictures, times 2 x temperature; both sides added. Keys have no gradient."};
  struct Ports {
    In<Vectors> query{"query", "The student's predictions, n D, two views of each picture."};
    In<Vectors> key{"key", "The teacher's projections of the same views, n D."};
    Out<Coupled> coupled{"coupled", "For loss.couple."};
    void describe(auto& port) { port(query, key, coupled); }
  };
  struct Params {
    double temperature = 0.2;
    void describe(auto& param) { param("temperature", temperature, Range{1e-4, 100}, "MoCo v3: 0.2 for ViTs, 1 for its ResNet-50."); }
  };
  Params params;

  void plan(NodePlan& plan) const {
    loss::plan_gathered(plan, {"query", "key"});
    loss::check_two_views(plan, "query");
    plan.require_equal("number of views", "query", &Planned::views, "key", "both must come from the same crops");
    plan.require_equal("width", "query", &Planned::width, "key");
  }

  void fold(Ports& port, const FoldContext& context) { coupling_.take({&*port.query, &*port.key}, context); }
  void run(const WholeContext& context) {
    coupling_.run(context, [&](const std::vector<Tensor>& rows) {
      return loss::key_contrast(model::unit_rows(rows[0]), model::unit_rows(rows[1]), coupling_.views(), params.temperature);
    });
  }
  void give(Ports& port, const FoldContext& context) { coupling_.give(context, *port.coupled); }

 private:
  loss::Coupling coupling_;
};

FLOWRUN_NODE(WholeInfoNce);

}  // namespace
}  // namespace flowrun
