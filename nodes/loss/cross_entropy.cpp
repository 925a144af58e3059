#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/loss/classification.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct CrossEntropy {
  static constexpr NodeInfo info{.type = "loss.cross_entropy",
                                 .brief = "Cross-entropy between scores and classes, or between scores and soft labels.",
                                 .scope = Scope::device,
                                 .details =
                                     "In float32, the mean over the rows of scores: images, or views of pictures. A soft label may have a weight, by "
                                     "which the loss of its row is multiplied. For soft labels it is timm's SoftTargetCrossEntropy; classes are "
                                     "smoothed as PyTorch does it: the share smoothing is spread evenly over all classes; or over the others alone, "
                                     "so that the label keeps 1 - smoothing (Tf-KD's code). Without rows it is 0.",
                                 .repeats = true};
  struct Ports {
    In<Vectors> logits{"logits", "B classes."};
    In<SoftLabels> soft_label{"soft_label", "B classes, of supervised.mix or another node that makes them.", optional};
    In<DeviceLabels> label{"label", "Classes, where there are no soft labels.", optional};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(logits, soft_label, label, loss); }
  };
  struct Params {
    double smoothing = 0, weight = 1;
    std::string smooth_over = "all";
    void describe(auto& param) {
      param("smoothing", smoothing, Range{0, 1}, "Smoothing of classes; soft labels are smoothed where they are made.");
      param("smooth_over", smooth_over, shares(), "Which classes get the share of smoothing: all, or the others without the label.");
      param("weight", weight, not_negative, "Factor of this loss, where loss.sum adds several.");
    }
    static const Choices& shares() {
      static const Choices choices = {"all", "others"};
      return choices;
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const bool soft = plan.in.contains("soft_label");
    if (soft == plan.in.contains("label")) {
      plan.fault("", soft ? "soft_label and label are both connected" : "neither soft_label nor label is connected", "connect one of them");
    }
    if (soft && params.smoothing > 0) {
      plan.fault("smoothing", "smoothing acts on classes, but soft labels come in", "set smoothing of supervised.mix instead");
    }
    plan.require_equal("number of classes", "logits", &Planned::width, "soft_label",
                       "the head or classifier needs as many classes as the node that makes the soft labels");
    plan.require_equal("number of views", "logits", &Planned::views, "label", "where vectors.join_views joins views, take its label too");
    plan.require_equal("grid of places", "logits", &Planned::grid, "soft_label", "stride of pretext.lab must be that of the encoder's last map");
  }

  void run(Ports& port, const GroupContext&) const {
    if (static_cast<bool>(port.soft_label) == static_cast<bool>(port.label)) throw NodeError("connect either soft_label or label");
    if (port.soft_label && params.smoothing > 0) throw NodeError("smoothing acts on classes, but soft labels come in");
    const Tensor& labels = port.soft_label ? port.soft_label->values_BC : port.label->labels_B;
    if (!labels.defined()) throw NodeError("there are no labels: connect label from the source to batch.stack and device.upload");
    const Tensor weights = port.soft_label ? port.soft_label->weight_B : Tensor();
    const bool others = params.smoothing > 0 && params.smooth_over == "others";
    const double smoothing = others ? loss::smoothing_over_all(params.smoothing, port.logits->values_nD.size(1)) : params.smoothing;
    const Tensor value = loss::cross_entropy(port.logits->values_nD, labels, smoothing, weights);
    port.loss->value = params.weight == 1 ? value : value.mul(params.weight);
    port.loss->has_value = true;
    port.loss->per_part.reset(), port.loss->parts.clear();
  }
};

FLOWRUN_NODE(CrossEntropy);

}  // namespace
}  // namespace flowrun
