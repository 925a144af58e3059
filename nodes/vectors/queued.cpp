#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/model/queue.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct VectorsQueued {
  static constexpr NodeInfo info{
      .type = "vectors.queued",
      .brief = "The rows of a queue: embeddings of earlier steps, for example to be scored by the prototypes of this step (SwAV).",
      .scope = Scope::device,
      .details = "A step reads what the step before left. The rows are those of model.queue, the same in all groups and on all ranks. No gradient.",
      .repeats = true};
  struct Ports {
    In<Vectors> beside{"beside", "The vectors that train.enqueue puts into the queue; gives the number of views."};
    Out<Vectors> out{"vectors", "Q d of length 1; before `from` no rows."};
    void describe(auto& port) { port(beside, out); }
  };
  struct Params {
    Ref<model::Queue> queue;
    int64_t from = 0;
    void describe(auto& param) {
      param.reads("queue", queue, "The model.queue.");
      param("from", from, not_negative, "Epochs that pass before its rows are used; its first rows are random.");
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const Planned beside = plan.known("beside");
    if (beside.views > 0 && params.queue->size() % static_cast<int64_t>(beside.views) != 0) {
      plan.fault("queue",
                 "the " + std::to_string(params.queue->size()) + " rows of " + params.queue.names[0] + " don't hold whole pictures of " +
                     count_text(beside.views) + " views",
                 "set its rows to a multiple of them");
    }
    Planned& out = plan.out["vectors"];
    out = Vectors::planned(static_cast<double>(params.queue->size()), static_cast<double>(params.queue->width()));
    out.views = beside.views;
  }

  int64_t variant(const GroupContext& context) const { return started(context) ? 1 : 0; }

  void run(Ports& port, const GroupContext& context) const {
    const Tensor& rows = params.queue->rows_Qd();
    *port.out = {
        .values_nD = started(context) ? rows.detach() : rows.detach().narrow(0, 0, 0), .views = port.beside->views, .image_n = {}, .images = 0};
    port.out->images = port.out->values_nD.size(0);
  }

 private:
  bool started(const GroupContext& context) const { return static_cast<int64_t>(context.epoch) >= params.from; }
};

FLOWRUN_NODE(VectorsQueued);

}  // namespace
}  // namespace flowrun
