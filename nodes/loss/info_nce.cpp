#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/loss/view_loss.h"
#include "nodes/lib/tensor/model/queue.h"
#include "nodes/lib/tensor/model/rows.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct InfoNce {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.info_nce",
       .brief = "Cross-entropy of each query's key against the rows of a queue: MoCo's loss.",
       .details =
           "The mean over the rows of -log(e^(q.k / T) / (e^(q.k / T) + sum over the queue of e^(q.n / T))), in float32, of rows of length 1. Row i "
           "of "
           "the keys belongs to row i of the queries: give two chains of crops, one to the student and one to the teacher. Keys and queue have no "
           "gradient. A step sees the queue of the step before."});
  struct Ports {
    In<Vectors> query{"query", "The student's projections, n d."};
    In<Vectors> key{"key", "The teacher's, n d."};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(query, key, loss); }
  };
  struct Params : loss::Weight {
    Ref<model::Queue> queue;
    double temperature = 0.07;
    void describe(auto& param) {
      param.reads("queue", queue, "The model.queue of earlier keys.");
      param("temperature", temperature, Range{1e-4, 100}, "MoCo v1 0.07, v2 0.2.");
      Weight::describe(param);
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.require_equal("width", "query", &Planned::width, "key");
    plan.require_equal("number of views", "query", &Planned::views, "key", "give two chains of crops, one to the student and one to the teacher");
    plan.require_width("query", params.queue->width(), params.queue.names[0],
                       "\"of\" of " + params.queue.names[0] + " must name the head that makes them");
  }

  int64_t variant(const GroupContext& context) const { return params.variant(context); }

  void run(Ports& port, const GroupContext& context) const {
    const Tensor value =
        loss::info_nce(model::unit_rows(port.query->values_nD), model::unit_rows(port.key->values_nD), params.queue->rows_Qd(), params.temperature);
    params.give(value, context, *port.loss);
  }
};

FLOWRUN_NODE(InfoNce);

}  // namespace
}  // namespace flowrun
