#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/loss/distill.h"
#include "nodes/lib/tensor/loss/view_loss.h"
#include "nodes/lib/tensor/target/labels.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct Dkd {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.dkd",
       .brief = "Two weighted divergences from the teacher: label against all other classes, and the other classes among themselves; decoupled "
                "distillation.",
       .details = "T² times the mean over rows, in float32, of alpha KL of (label, all others) plus beta KL of the other classes among "
                  "themselves (Zhao et al., 2022). The usual loss.kl weighs the second part by 1 - the teacher's probability of the label. "
                  "Published beta: 8 for ResNet 32x4 to 8x4, 6 for wide ResNet 40-2 to 40-1, 2 for ResNet 56 to 20; the weight grows over "
                  "20 epochs. No gradient reaches the teacher."});
  struct Ports {
    In<Vectors> student{"student", "The student's scores, n C."};
    In<Vectors> teacher{"teacher", "The teacher's scores, n C."};
    In<DeviceLabels> label{"label", "Classes."};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(student, teacher, label, loss); }
  };
  struct Params : loss::Weight {
    double alpha = 1, beta = 8, temperature = 4;
    void describe(auto& param) {
      param("alpha", alpha, not_negative, "Weight of the label against all others.");
      param("beta", beta, not_negative, "Weight of the others among themselves.");
      param("temperature", temperature, Range{1e-4, 1000}, "Of student and teacher; the value is multiplied by its square.");
      Weight::describe(param);
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.require_equal("number of classes", "student", &Planned::width, "teacher", "both networks need the same classes");
    plan.require_equal("number of views", "student", &Planned::views, "teacher", "both must come from the same crops");
    plan.require_equal("number of views", "student", &Planned::views, "label", "a view needs the label of its picture");
  }

  int64_t variant(const GroupContext& context) const { return params.variant(context); }

  void run(Ports& port, const GroupContext& context) const {
    const Tensor& student = port.student->values_nD;
    supervised::check_labels(*port.label, student.size(1));
    const loss::DkdOptions options{.alpha = params.alpha, .beta = params.beta, .temperature = params.temperature};
    params.give(loss::dkd(student, port.teacher->values_nD, port.label->labels_B, options), context, *port.loss);
  }
};

FLOWRUN_NODE(Dkd);

}  // namespace
}  // namespace flowrun
