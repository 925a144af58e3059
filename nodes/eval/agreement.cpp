#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/metric/compare_networks.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct Agreement {
  static constexpr NodeInfo info{
      .type = "eval.agreement",
      .brief = "How often a student and its teacher predict the same class, right or wrong: the fidelity of distillation.",
      .scope = Scope::evaluation,
      .details =
          "Reports agreement in 0..1 and divergence, the mean KL(teacher, student) at temperature 1 (Stanton et al., 2021). A student may be "
          "more accurate for it, or less."};
  struct Ports {
    In<Vectors> student{"student", "B classes: the student's scores."};
    In<Vectors> teacher{"teacher", "The teacher's, of the same images."};
    void describe(auto& port) { port(student, teacher); }
  };
  static std::vector<std::string> reports() { return {"agreement", "divergence"}; }

  void plan(NodePlan& plan) const {
    plan.require_equal("number of classes", "student", &Planned::width, "teacher", "both networks need the same classes");
  }

  void fold(Ports& port, const FoldContext&) {
    const at::NoGradGuard no_grad;
    const Tensor &student = port.student->values_nD, &teacher = port.teacher->values_nD;
    if (student.sizes() != teacher.sizes()) {
      throw NodeError("the student has " + std::to_string(student.size(0)) + " rows of " + std::to_string(student.size(1)) + " scores, the teacher " +
                      std::to_string(teacher.size(0)) + " of " + std::to_string(teacher.size(1)));
    }
    const Tensor sums = eval::agreement(student, teacher);
    sums_ = sums_.defined() ? sums_.add(sums) : sums;
    images_ += student.size(0);
  }

  void run(Ports&, EvaluationContext& context) {
    const Tensor mine = at::zeros({3}, at::kDouble);
    if (sums_.defined()) mine.narrow(0, 0, 2).copy_(sums_), mine[2].fill_(static_cast<double>(images_));
    const Tensor all = ranks::sum(context.run, mine, "adding up the agreement");
    context.report("agreement", all[0].div(all[2]).item<double>());
    context.report("divergence", all[1].div(all[2]).item<double>());
    sums_.reset(), images_ = 0;
  }

 private:
  Tensor sums_;  // same class, divergence; float64
  int64_t images_ = 0;
};

FLOWRUN_NODE(Agreement);

}  // namespace
}  // namespace flowrun
