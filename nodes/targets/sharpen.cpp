#include "nodes/lib/tensor/target/sharpen.h"

#include <ATen/core/grad_mode.h>

#include "graph/node.h"
#include "nodes/lib/tensor/model/center.h"
#include "nodes/lib/tensor/optim/value.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct Sharpen {
  static constexpr NodeInfo info{.type = "targets.sharpen",
                                 .brief = "A teacher's scores as targets: softmax of (scores - center) / temperature.",
                                 .scope = Scope::device,
                                 .details =
                                     "DINO's centering and sharpening (Caron et al., 2021). The center is that of the step before; without one "
                                     "nothing is subtracted. No gradient; "
                                     "in float32.",
                                 .repeats = true};
  struct Ports {
    In<Vectors> vectors{"vectors", "n K: scores of the teacher."};
    Out<SoftLabels> soft_label{"soft_label", "n K; rows sum to 1."};
    void describe(auto& port) { port(vectors, soft_label); }
  };
  struct Params {
    Ref<model::Center> center;
    train::Value temperature{0.04, Range{1e-4, 100}};
    void describe(auto& param) {
      param.reads("center", center, "The model.center to subtract.");
      param("temperature", temperature, temperature.range, "Below 1 it sharpens; DINO's better run warms up from 0.04 to 0.07 over 30 epochs.");
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const auto width = static_cast<double>(params.center->width());
    const double known = plan.known("vectors").rows, rows = known > 0 ? known : plan.group.images;
    plan.out["soft_label"] = Planned::of({rows, width}, "float32", 4);
    plan.out["soft_label"].width = width, plan.out["soft_label"].rows = known;
    plan.require_width("vectors", params.center->width(), params.center.names[0],
                       "\"of\" of " + params.center.names[0] + " must name the head that makes them");
  }

  int64_t variant(const GroupContext& context) const { return params.temperature.variant(context.step, context.run); }

  void run(Ports& port, const GroupContext& context) const {
    const Tensor& scores = port.vectors->values_nD;
    if (scores.size(1) != params.center->width()) {
      throw NodeError("the scores have " + std::to_string(scores.size(1)) + " columns, but the center " + params.center.names[0] + " has " +
                      std::to_string(params.center->width()) + ": \"of\" of that center must name the head that makes them");
    }
    port.soft_label->values_BC = target::sharpened(scores, params.center->value_K(), params.temperature.at(context.step, context.run));
    port.soft_label->views = port.vectors->views;
  }
};

FLOWRUN_NODE(Sharpen);

}  // namespace
}  // namespace flowrun
