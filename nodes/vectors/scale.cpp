#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/model/rows.h"
#include "nodes/lib/tensor/model/temperature.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct Scale {
  static constexpr NodeInfo info{
      .type = "vectors.scale",
      .brief = "Vectors at length 1, divided by a learned temperature: one side of a contrast between towers.",
      .scope = Scope::device,
      .details = "Products with vectors of length 1 are then logits. Gradients go back to the vectors and to the temperature.",
      .repeats = true};
  struct Ports {
    In<Vectors> vectors{"vectors", "n D."};
    Out<Vectors> out{"vectors", "n D, all of one length."};
    void describe(auto& port) { port(vectors, out); }
  };
  struct Params {
    Ref<model::Temperature> model;
    void describe(auto& param) { param.reads("model", model, "The temperature."); }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.out["vectors"] = plan.known("vectors");
    plan.passes.push_back({params.model.names[0], /*gradient=*/true, [](const MaskCounts&) { return Cost(); }});
  }

  void run(Ports& port, const GroupContext&) const {
    *port.out = *port.vectors;
    port.out->values_nD = model::unit_rows(port.vectors->values_nD).mul(params.model->scale());
  }
};

FLOWRUN_NODE(Scale);

}  // namespace
}  // namespace flowrun
