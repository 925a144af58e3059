#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {
namespace {

struct ClassPrediction {
  static constexpr NodeInfo info{
      .type = "mim.class_prediction",
      .brief = "The student's class token as a separate prediction: data2vec 2.0's class loss.",
      .scope = Scope::device,
      .details = "Compare it with mim.hidden_targets whose pooled is true, and add that loss, with a small weight, through loss.sum.",
      .repeats = true};
  struct Ports {
    In<VisibleTokens> tokens{"tokens", "From mim.encode_visible."};
    Out<Prediction> prediction{"prediction", "B 1 1 D."};
    void describe(auto& port) { port(tokens, prediction); }
  };
  void plan(NodePlan& plan) const {
    const Planned tokens = plan.in["tokens"];
    plan.out["prediction"] = Planned::of({plan.group.rows, 1, 1, tokens.width}, "float32", 4);
    plan.out["prediction"].width = tokens.width;
    if (tokens.width > 0 && tokens.certain && tokens.class_token == 0) {
      plan.fault("tokens", "the encoder has no class token", "set its \"class_token\" to true");
    }
  }

  void run(Ports& port, const GroupContext&) const {
    if (!port.tokens->cls_B1D.defined()) throw NodeError("the encoder has no class token: set its \"class_token\" to true");
    port.prediction->values = port.tokens->cls_B1D.unsqueeze(1);
    port.prediction->parts.clear();
  }
};

FLOWRUN_NODE(ClassPrediction);

}  // namespace
}  // namespace flowrun
