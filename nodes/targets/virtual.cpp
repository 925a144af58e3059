#include <ATen/ops/full.h>

#include "graph/node.h"
#include "nodes/lib/tensor/target/labels.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {
namespace {

struct VirtualTeacher {
  static constexpr NodeInfo info{.type = "targets.virtual",
                                 .brief = "A teacher designed by hand: surer of the label than of all other classes, at a temperature.",
                                 .scope = Scope::device,
                                 .details =
                                     "softmax(u / temperature), where u is `right` for the label and shares the rest evenly among the other classes: "
                                     "the regularisation of Tf-KD (Yuan et al., 2020). loss.kl compares a student with it, at temperature 1.",
                                 .repeats = true};
  struct Ports {
    In<DeviceLabels> label{"label", "Classes."};
    Out<SoftLabels> soft_label{"soft_label", "B classes; rows sum to 1."};
    void describe(auto& port) { port(label, soft_label); }
  };
  struct Params {
    int64_t classes = 2;
    double right = 0.99, temperature = 20;
    void describe(auto& param) {
      param.required("classes", classes, Range{2, 1000000}, "How many classes there are.");
      param("right", right, Range{0, 1}, "Of the label, before the temperature.");
      param("temperature", temperature, Range{1e-4, 1000}, "The published one is 20.");
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const Planned label = plan.known("label");
    plan.out["soft_label"] = Planned::of({plan.group.images, static_cast<double>(params.classes)}, "float32", 4);
    plan.out["soft_label"].width = static_cast<double>(params.classes), plan.out["soft_label"].views = label.views;
  }

  void run(Ports& port, const GroupContext&) const {
    supervised::check_labels(*port.label, params.classes);
    const Tensor& labels = port.label->labels_B;
    const double rest = (1 - params.right) / static_cast<double>(params.classes - 1);
    const Tensor others = at::full({labels.size(0), params.classes}, rest, labels.options().dtype(at::kFloat));
    port.soft_label->values_BC = others.scatter(1, labels.unsqueeze(1), params.right).div(params.temperature).softmax(1);
    port.soft_label->weight_B.reset();
    port.soft_label->views = 1;
  }
};

FLOWRUN_NODE(VirtualTeacher);

}  // namespace
}  // namespace flowrun
