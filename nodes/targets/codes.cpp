#include "graph/node.h"
#include "nodes/lib/tensor/model/codebook.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {
namespace {

struct Codes {
  static constexpr NodeInfo info{.type = "targets.codes",
                                 .brief = "Targets as classes: the code of each row, for loss.cross_entropy.",
                                 .scope = Scope::device,
                                 .details =
                                     "The code is the number of the codebook's nearest centre. BEiT predicts the codes of hidden patches; its "
                                     "tokenizer is a trained dVAE, a model.codebook of patches stands in for it.",
                                 .repeats = true};
  struct Ports {
    In<Target> target{"target", "Rows to code: 1 1 n F, or B R M F."};
    Out<DeviceLabels> label{"label", "n int64, in the order of the rows."};
    void describe(auto& port) { port(target, label); }
  };
  struct Params {
    Ref<model::Codebook> codebook;
    void describe(auto& param) { param.reads("codebook", codebook, "The model.codebook."); }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const Cost cost = params.codebook->cost_of(plan.known("target"), plan.group.images);
    plan.passes.push_back({params.codebook.names[0], /*gradient=*/false, [cost](const MaskCounts&) { return cost; }});
    plan.require_width("target", params.codebook->width(), params.codebook.names[0], "set \"width\" of " + params.codebook.names[0]);
    const double values = plan.known("target").width, rows = values > 0 ? plan.known("target").bytes / 4 / values : 0;
    plan.out["label"] = Planned::of({rows}, "int64", 8);
    plan.out["label"].rows = rows;
  }

  void run(Ports& port, const GroupContext&) const {
    port.label->labels_B = params.codebook->nearest(port.target->ready().flatten(0, 2));
    port.label->range = {.known = true, .least = 0, .most = params.codebook->codes() - 1};
  }
};

FLOWRUN_NODE(Codes);

}  // namespace
}  // namespace flowrun
