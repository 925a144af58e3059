#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/loss/relations.h"
#include "nodes/lib/tensor/loss/view_loss.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct Correlation {
  static constexpr NodeInfo info =
      loss::info({.type = "loss.correlation",
                  .brief = "Mean product of the student-teacher differences of consecutive rows: correlation congruence.",
                  .details = "With d = |student - teacher| of a row, the mean over consecutive rows of the group of the product d . d', in float32 "
                             "(Peng et al., 2019, in "
                             "the form that RepDistiller got of its authors). Both vectors come from heads that are trained. Published: weight 0.02, "
                             "linear layers to 128 "
                             "numbers, groups of 64."});
  struct Ports {
    In<Vectors> student{"student", "The student's rows, n d, from a head that is trained."};
    In<Vectors> teacher{"teacher", "The teacher's rows, n d, likewise."};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(student, teacher, loss); }
  };
  using Params = loss::Weight;
  Params params;

  void plan(NodePlan& plan) const {
    plan.require_equal("width", "student", &Planned::width, "teacher", "both heads need the same width");
    plan.require_equal("number of views", "student", &Planned::views, "teacher", "both must come from the same crops");
  }

  int64_t variant(const GroupContext& context) const { return params.variant(context); }

  void run(Ports& port, const GroupContext& context) const {
    const Tensor &student = port.student->values_nD, &teacher = port.teacher->values_nD;
    if (student.size(1) != teacher.size(1)) {
      throw NodeError("the student's rows have " + std::to_string(student.size(1)) + " numbers, the teacher's " + std::to_string(teacher.size(1)));
    }
    params.give(loss::correlation_congruence(student, teacher), context, *port.loss);
  }
};

FLOWRUN_NODE(Correlation);

}  // namespace
}  // namespace flowrun
