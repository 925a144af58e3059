#include <ATen/ops/equal.h>

#include "graph/node.h"
#include "nodes/lib/tensor/loss/view_loss.h"
#include "nodes/lib/tensor/types/coupled.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct Couple {
  static constexpr NodeInfo info{
      .type = "loss.couple",
      .brief = "Brings the gradient of a loss over the whole batch back to the passes of this group.",
      .scope = Scope::device,
      .details =
          "A whole node computes such a loss once a step, and its gradient by the rows of each group. The value here is the sum of the products of "
          "the "
          "group's rows with their gradient, whose backward pass is that of the whole loss (GradCache); reports show the loss itself."};
  struct Ports {
    InList<Vectors> vectors{"vectors", "The inputs of the whole node that are trained on, in their order, n D."};
    In<Coupled> coupled{"coupled", "Of the whole node."};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(vectors, coupled, loss); }
  };
  using Params = loss::Weight;
  Params params;

  void run(Ports& port, const GroupContext& context) const {
    const Coupled& coupled = *port.coupled;
    if (port.vectors.size() != coupled.slopes_nD.size()) {
      throw NodeError(std::to_string(port.vectors.size()) + " inputs come in, and the loss is trained on " +
                      std::to_string(coupled.slopes_nD.size()));
    }
    Tensor sum;
    for (size_t i = 0; i < port.vectors.size(); ++i) {
      const Tensor& rows = port.vectors[i].values_nD;
      require_same(rows, coupled.rows_nD[i]);
      const Tensor product = rows.to(coupled.slopes_nD[i].scalar_type()).mul(coupled.slopes_nD[i]).sum();
      sum = sum.defined() ? sum.add(product) : product;
    }
    params.give(sum, context, *port.loss, coupled.shown);
  }

 private:
  /// Other rows would get a gradient that is not theirs. A GPU's rows are compared in size alone: a look at values would wait for it.
  static void require_same(const Tensor& rows, const Tensor& taken) {
    const bool same = rows.sizes() == taken.sizes() && (!rows.is_cpu() || at::equal(rows.detach().to(taken.scalar_type()), taken));
    if (!same) throw NodeError("vectors are not the rows that the whole node took: name the same node in both");
  }
};

FLOWRUN_NODE(Couple);

}  // namespace
}  // namespace flowrun
