#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/device/float32.h"
#include "nodes/lib/tensor/model/memory.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/types/device_ids.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct Remember {
  static constexpr NodeInfo info{
      .type = "train.remember",
      .brief = "Writes the network's class probabilities of this step's samples into the memory, in place of the earlier ones.",
      .scope = Scope::step,
      .details = "The softmax of the scores, of all groups and ranks. Of several views of a sample the last one stays (PS-KD)."};
  struct Ports {
    In<Vectors> scores{"scores", "The network's scores, n C."};
    In<DeviceIds> ids{"ids", "From device.ids."};
    void describe(auto& port) { port(scores, ids); }
  };
  struct Params {
    Ref<model::Memory> memory;
    void describe(auto& param) { param.writes("memory", memory, "The model.memory to write to."); }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.require_width("scores", params.memory->classes(), params.memory.names[0],
                       "\"of\" of " + params.memory.names[0] + " must name the head that makes them");
    plan.require_equal("number of views", "scores", &Planned::views, "ids", "both must come from the same batch");
  }

  void open(const OpenContext& context) { model::require_samples(context, *params.memory, params.memory.names[0]); }

  void fold(Ports& port, const FoldContext&) {
    rows_.push_back(at_least_float(port.scores->values_nD.detach()).softmax(1));
    ids_.push_back(port.ids->ids);
  }

  void run(Ports&, StepContext& context) {
    const Tensor ids_n = ranks::rows(context.run, ids_, "the numbers of samples to remember");
    model::write_rows(params.memory->probabilities_MC(), ids_n, ranks::rows(context.run, rows_, "the probabilities to remember"));
  }

 private:
  std::vector<Tensor> rows_, ids_;  // of each group
};

FLOWRUN_NODE(Remember);

}  // namespace
}  // namespace flowrun
