#include <ATen/ops/relu.h>
#include <ATen/ops/stack.h>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct VectorsGate {
  static constexpr NodeInfo info{
      .type = "vectors.gate",
      .brief = "The sum of several nodes' vectors, weighted in each row by a gate: the teacher that ONE makes of its branches.",
      .scope = Scope::device,
      .details =
          "The weights are the softmax of relu(gate), in float32, as in ONE (Lan et al., 2018). Gradients go back to the "
          "vectors and to the gate.",
      .repeats = true};
  struct Ports {
    InList<Vectors> vectors{"vectors", "What to add: n D each, of the same rows."};
    In<Vectors> gate{"gate", "A score for each of them, n and as many as vectors."};
    Out<Vectors> out{"vectors", "n D."};
    void describe(auto& port) { port(vectors, gate, out); }
  };

  void plan(NodePlan& plan) const {
    // A list's first input has its name, the others have numbers behind it.
    const Planned first = plan.known("vectors");
    plan.out["vectors"] = Vectors::planned(first.rows, first.width);
  }

  void run(Ports& port, const GroupContext&) const {
    const Vectors& first = port.vectors[0];
    std::vector<Tensor> all;
    for (size_t i = 0; i < port.vectors.size(); ++i) {
      all.push_back(port.vectors[i].values_nD.to(at::kFloat));
      if (all[i].sizes() == all[0].sizes()) continue;
      throw NodeError("input " + std::to_string(i + 1) + " of vectors has " + std::to_string(all[i].size(0)) + " rows of width " +
                      std::to_string(all[i].size(1)) + ", the first " + std::to_string(all[0].size(0)) + " of " + std::to_string(all[0].size(1)));
    }
    const Tensor& gate = port.gate->values_nD;
    if (gate.size(0) != all[0].size(0) || gate.size(1) != static_cast<int64_t>(all.size())) {
      throw FatalNodeError("the gate has " + std::to_string(gate.size(0)) + " rows of " + std::to_string(gate.size(1)) + " scores, but there are " +
                           std::to_string(all.size()) + " inputs of " + std::to_string(all[0].size(0)) +
                           " rows: the last width of its head must be the number of inputs");
    }
    const Tensor weight_nV1 = at::relu(gate.to(at::kFloat)).softmax(1).unsqueeze(2);
    *port.out = {.values_nD = at::stack(all, 1).mul(weight_nV1).sum(1), .views = first.views, .image_n = first.image_n, .images = first.images};
  }
};

FLOWRUN_NODE(VectorsGate);

}  // namespace
}  // namespace flowrun
