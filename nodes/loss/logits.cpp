#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/loss/distill.h"
#include "nodes/lib/tensor/loss/view_loss.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct Logits {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.logits",
       .brief = "Mean squared difference between the class scores of student and teacher.",
       .details = "Of scores (Ba and Caruana, 2014), or of their softmax (Bucila et al., 2006); in float32. No gradient reaches the teacher."});
  struct Ports {
    In<Vectors> student{"student", "The student's scores, n C."};
    In<Vectors> teacher{"teacher", "The teacher's scores, n C."};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(student, teacher, loss); }
  };
  struct Params : loss::Weight {
    std::string of = "scores";
    void describe(auto& param) {
      param("of", of, kinds(), "scores: as they are. probabilities: their softmax.");
      Weight::describe(param);
    }
    static const Choices& kinds() {
      static const Choices choices = {"scores", "probabilities"};
      return choices;
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.require_equal("number of classes", "student", &Planned::width, "teacher", "both networks need the same classes");
    plan.require_equal("number of views", "student", &Planned::views, "teacher", "both must come from the same crops");
  }

  int64_t variant(const GroupContext& context) const { return params.variant(context); }

  void run(Ports& port, const GroupContext& context) const {
    const Tensor value = loss::squared_scores(port.student->values_nD, port.teacher->values_nD, params.of == "probabilities");
    params.give(value, context, *port.loss);
  }
};

FLOWRUN_NODE(Logits);

}  // namespace
}  // namespace flowrun
