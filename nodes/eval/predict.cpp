#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>

#include "graph/node.h"
#include "nodes/lib/tensor/metric/confusion.h"
#include "nodes/lib/tensor/model/probe.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {
namespace {

struct Predict {
  static constexpr NodeInfo info{
      .type = "eval.predict",
      .brief = "The class that each head of a probe predicts for the images of an evaluation, or for their pixels.",
      .scope = Scope::device,
      .details = "A linear probe's batch norm uses its running statistics. Segmenting heads are resized to the label maps, bilinearly."};
  struct Ports {
    In<Features> features{"features", "Input of a linear probe, with labels.", optional};
    In<EvalTokens> tokens{"tokens", "Input of the other kinds of probe, with labels or label maps.", optional};
    Out<Predictions> predictions{"predictions", "Predictions per head, for eval.heads."};
    void describe(auto& port) { port(features, tokens, predictions); }
  };
  struct Params {
    Ref<model::Probe> model;
    void describe(auto& param) { param.reads("model", model, "The probe that train.probe trains."); }
  };
  Params params;

  void run(Ports& port, const GroupContext&) {
    const at::NoGradGuard no_grad;
    model::Probe& probe = *params.model;
    const bool linear = probe.config().kind == model::ProbeKind::linear;
    if (linear && !port.features) throw NodeError("a linear probe needs features: connect an eval.features");
    if (!linear && !port.tokens) throw NodeError("this kind of probe needs tokens: connect an eval.tokens");
    if (probe.segments()) return segment(probe, *port.tokens, *port.predictions);
    Predictions& out = *port.predictions;
    out.labels_B = linear ? port.features->labels_B : port.tokens->labels_B;
    if (!out.labels_B.defined()) throw NodeError("there are no labels: connect label from the source to batch.stack and device.upload");
    const Tensor x = linear ? probe.normalise(port.features->values_BD) : port.tokens->tokens_BSD;
    std::vector<Tensor> named;
    for (int64_t head = 0; head < probe.heads(); ++head) named.push_back(probe.named(head, x));
    out.named_BH = at::stack(named, 1);
  }

 private:
  static void segment(const model::Probe& probe, const EvalTokens& tokens, Predictions& out) {
    const Tensor& truth = tokens.maps_BHW;
    if (!truth.defined()) throw NodeError("there are no label maps: connect them to batch.stack, device.upload and eval.tokens");
    if (const int64_t most = tokens.map_range.of(truth, model::kIgnored).most; most >= probe.config().classes) {
      throw NodeError("a label is " + std::to_string(most) + ", but the probe has classes 0 to " + std::to_string(probe.config().classes - 1));
    }
    std::vector<Tensor> counts;
    for (int64_t head = 0; head < probe.heads(); ++head) {
      const Tensor named = probe.named(head, tokens.patches_BND(), truth.size(1), truth.size(2));
      counts.push_back(eval::confusion(truth, named, probe.config().classes, model::kIgnored));
    }
    out.confusion_HCC = at::stack(counts);
  }
};

FLOWRUN_NODE(Predict);

}  // namespace
}  // namespace flowrun
