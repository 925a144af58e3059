#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/loss/distill.h"
#include "nodes/lib/tensor/loss/view_loss.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct Kl {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.kl",
       .brief = "KL divergence between the class probabilities of student and teacher at a temperature: knowledge distillation.",
       .details =
           "T² times the mean over rows of KL(q, p), in float32: p and q are softmax(scores / T) of student and teacher (Hinton et al., 2015). The "
           "factor T² keeps the gradient's size whatever T is. In place of scores the teacher may be soft labels, which are taken as they are. No "
           "gradient "
           "reaches the teacher. js is the Jensen-Shannon divergence (SSLD)."});
  struct Ports {
    In<Vectors> student{"student", "The student's scores, n C."};
    In<Vectors> teacher{"teacher", "The teacher's scores, n C.", optional};
    In<SoftLabels> soft_label{"soft_label", "In place of teacher: probabilities, n C.", optional};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(student, teacher, soft_label, loss); }
  };
  struct Params : loss::Weight {
    double temperature = 4;
    bool reverse = false, js = false;
    std::string mean_over = "rows";
    void describe(auto& param) {
      param("temperature", temperature, Range{1e-4, 1000}, "T of student and teacher; of soft labels the student's alone.");
      param("reverse", reverse, "KL(p, q) in place of KL(q, p).");
      param("js", js, "The Jensen-Shannon divergence, half of KL(q, m) + KL(p, m) with m = (p + q) / 2.");
      param("mean_over", mean_over, means(), "rows: the sum over classes. elements: the mean over classes too, as in the code of Tf-KD.");
      Weight::describe(param);
    }
    static const Choices& means() {
      static const Choices choices = {"rows", "elements"};
      return choices;
    }
    std::optional<ParamFault> check() const {
      if (reverse && js) return ParamFault{"reverse", "js has no direction; set reverse or js"};
      return {};
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const bool soft = plan.in.contains("soft_label");
    if (soft == plan.in.contains("teacher")) {
      plan.fault("", soft ? "teacher and soft_label are both connected" : "neither teacher nor soft_label is connected", "connect one of them");
    }
    for (const char* const teacher : {"teacher", "soft_label"}) {
      plan.require_equal("number of classes", "student", &Planned::width, teacher, "both networks need the same classes");
    }
    plan.require_equal("number of views", "student", &Planned::views, "teacher", "both must come from the same crops");
  }

  int64_t variant(const GroupContext& context) const { return params.variant(context); }

  void run(Ports& port, const GroupContext& context) const {
    if (static_cast<bool>(port.teacher) == static_cast<bool>(port.soft_label)) throw NodeError("connect either teacher or soft_label");
    const loss::TeacherClasses teacher =
        port.teacher ? loss::softened(port.teacher->values_nD, params.temperature) : loss::given(port.soft_label->values_BC);
    const Tensor value = loss::kl(port.student->values_nD, teacher, options(), port.soft_label ? port.soft_label->weight_B : Tensor());
    params.give(value, context, *port.loss);
  }

 private:
  loss::KlOptions options() const {
    using enum loss::Divergence;
    return {.temperature = params.temperature,
            .divergence = params.js        ? js
                          : params.reverse ? reverse
                                           : forward,
            .over_elements = params.mean_over == "elements"};
  }
};

FLOWRUN_NODE(Kl);

}  // namespace
}  // namespace flowrun
