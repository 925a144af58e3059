#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/loss/relations.h"
#include "nodes/lib/tensor/loss/view_loss.h"
#include "nodes/lib/tensor/types/tokens.h"

namespace flowrun {
namespace {

struct Gram {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.gram",
       .brief = "Squared difference between the patch cosines of student and teacher within an image: Gram anchoring.",
       .details = "Cosines between all patches of an image; the mean squared difference over images and pairs, in float32 (DINOv3). Widths may "
                  "differ, grids may not."});
  struct Ports {
    In<EncodedTokens> student{"student", "The student's tokens, B N D."};
    In<EncodedTokens> teacher{"teacher", "The teacher's, without gradient."};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(student, teacher, loss); }
  };
  using Params = loss::Weight;
  Params params;

  void plan(NodePlan& plan) const {
    plan.require_equal("grid", "student", &Planned::grid, "teacher", "give both encoders equally many patches");
    plan.require_equal("number of views", "student", &Planned::views, "teacher", "both must come from the same crops");
  }

  int64_t variant(const GroupContext& context) const { return params.variant(context); }

  void run(Ports& port, const GroupContext& context) const {
    const Tensor &student = port.student->patch_BND, &teacher = port.teacher->patch_BND;
    if (!student.defined() || !teacher.defined()) {
      throw NodeError("there are no tokens: the encoder's batch norms normalise each view separately; set its statistics to \"batch\"");
    }
    params.give(loss::gram(student, teacher), context, *port.loss);
  }
};

FLOWRUN_NODE(Gram);

}  // namespace
}  // namespace flowrun
