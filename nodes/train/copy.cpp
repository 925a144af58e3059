#include <ATen/core/grad_mode.h>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/device/side_stream.h"
#include "nodes/lib/tensor/model/module.h"
#include "nodes/lib/tensor/model/writable.h"

namespace flowrun {
namespace {

struct CopyModels {
  static constexpr NodeInfo info{
      .type = "train.copy",
      .brief = "Makes a model equal to another at certain steps: the Gram teacher of DINOv3, the network of some epochs ago.",
      .scope = Scope::step,
      .details = "Parameters and buffers, behind these steps; in between the copy stays as it is. Put it behind what moves the original."};
  struct Ports {
    void describe(auto&) {}
  };
  struct Params {
    Ref<model::Module> from, to;
    int64_t first = 1, every = 0, times = 0;
    void describe(auto& param) {
      param.reads("from", from, "The original.");
      param.writes("to", to, "What becomes equal to it: a model.ema_copy of it.");
      param("first", first, positive, "Behind which step it is copied first.");
      param("every", every, not_negative, "Steps from one copy to the next; 0: it is copied once.");
      param("times", times, not_negative, "How often at most; 0: any number.");
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.states = 0;
    if (!model::check_writable(plan, *params.to, "to", params.to.names[0])) return;
    model::check_copy(plan, *params.from, params.from.names[0], *params.to, params.to.names[0]);
  }

  void open(const OpenContext&) { model::require_not_frozen(*params.to, params.to.names[0]); }

  void run(Ports&, StepContext& context) {
    if (!due(context.step)) return;
    const at::NoGradGuard no_grad;
    model::Module& to = *params.to;
    if (to.parameters().size() > 0) SideStream::join(to.parameters()[0].device());  // a teacher may be at work
    for (size_t i = 0; i < to.parameters().size(); ++i) to.parameters()[i].copy_(params.from->parameters()[i]);
    for (size_t i = 0; i < to.buffers().size(); ++i) to.buffers()[i].copy_(params.from->buffers()[i]);
  }

 private:
  bool due(int64_t step) const {
    if (step < params.first) return false;
    if (params.every == 0) return step == params.first;
    const int64_t done = (step - params.first) / params.every;
    return (step - params.first) % params.every == 0 && (params.times == 0 || done < params.times);
  }
};

FLOWRUN_NODE(CopyModels);

}  // namespace
}  // namespace flowrun
