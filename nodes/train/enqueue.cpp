#include <algorithm>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/model/queue.h"
#include "nodes/lib/tensor/model/rows.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct Enqueue {
  static constexpr NodeInfo info{.type = "train.enqueue",
                                 .brief = "Puts this step's keys into the queue in place of the oldest.",
                                 .scope = Scope::step,
                                 .details = "The keys of all groups and ranks, in the order of the groups, as rows of length 1 (MoCo)."};
  struct Ports {
    In<Vectors> key{"key", "The teacher's projections, n d."};
    void describe(auto& port) { port(key); }
  };
  struct Params {
    Ref<model::Queue> queue;
    void describe(auto& param) { param.writes("queue", queue, "The model.queue to fill."); }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.require_width("key", params.queue->width(), params.queue.names[0],
                       "\"of\" of " + params.queue.names[0] + " must name the head that makes them");
    const double keys = plan.group.step * std::max(1.0, plan.known("key").views);
    if (keys > static_cast<double>(params.queue->size())) {
      plan.fault("queue",
                 "a step has " + count_text(keys) + " keys, but the queue " + params.queue.names[0] + " only " +
                     std::to_string(params.queue->size()) + " rows",
                 "set rows of " + params.queue.names[0] + " to a multiple of the batch");
    }
  }

  void fold(Ports& port, const FoldContext&) { keys_.push_back(model::unit_rows(port.key->values_nD.detach())); }

  void run(Ports&, StepContext& context) {
    params.queue->push(ranks::rows(context.run, keys_, "the keys of the queue"));
    keys_.clear();
  }

 private:
  std::vector<Tensor> keys_;  // of each group
};

FLOWRUN_NODE(Enqueue);

}  // namespace
}  // namespace flowrun
