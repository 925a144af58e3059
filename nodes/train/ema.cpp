#include <ATen/core/grad_mode.h>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/device/side_stream.h"
#include "nodes/lib/tensor/model/module.h"
#include "nodes/lib/tensor/model/norm_passes.h"
#include "nodes/lib/tensor/model/writable.h"
#include "nodes/lib/tensor/optim/adamw_math.h"
#include "nodes/lib/tensor/optim/schedule.h"

namespace flowrun {
namespace {

struct Ema {
  static constexpr NodeInfo info{
      .type = "train.ema",
      .brief = "Moves the teacher towards the student: teacher = decay x teacher + (1 - decay) x student.",
      .scope = Scope::step,
      .details =
          "Over all parameters, in float32, once a step; put it after the update. Lists move several teachers at once, "
          "encoder and head: each of \"to\" follows the one of \"from\" at its place. Buffers, such as running statistics, "
          "stay the teacher's own, are copied, or are averaged like the parameters."};
  struct Ports {
    void describe(auto&) {}
  };
  struct Params {
    Ref<model::Module> from, to;
    double decay = 0.9985, decay_final = -1, ramp_epochs = 0;
    std::string schedule = "linear", buffers = "own";
    void describe(auto& param) {
      param.reads("from", from, "The student, or a list of models.", /*many=*/true);
      param.writes("to", to, "The teacher, or a list as long.", /*many=*/true);
      param("decay", decay, Range{0, 1}, "How much of the teacher stays.");
      param("decay_final", decay_final, Range{-1, 1}, "What decay becomes; -1: constant.");
      param("schedule", schedule, schedules(), "How it gets there. cosine: as BYOL and DINO.");
      param("buffers", buffers, buffer_choices(), "What becomes of the teacher's buffers. own: its own passes move them.");
      param("ramp_epochs", ramp_epochs, not_negative, "Over how many epochs; after them it stays. 0: over the run.");
    }
    std::optional<ParamFault> check() const {
      if (from.names.size() == to.names.size()) return {};
      return ParamFault{"to", "from names " + std::to_string(from.names.size()) + " models, but to names " + std::to_string(to.names.size())};
    }
    static const Choices& buffer_choices() {
      static const Choices choices = {"own", "copy", "average"};
      return choices;
    }
    static const Choices& schedules() {
      static const Choices choices = {"linear", "cosine"};
      return choices;
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    for (size_t m = 0; m < params.to.size(); ++m) {
      if (!model::check_writable(plan, params.to[m], "to", params.to.names[m])) continue;
      model::check_copy(plan, params.from[m], params.from.names[m], params.to[m], params.to.names[m]);
    }
  }

  void open(const OpenContext& context) {
    for (size_t m = 0; m < params.to.size(); ++m) {
      model::require_not_frozen(params.to[m], params.to.names[m]);
      if (params.buffers == "own") model::collect_statistics(params.to[m]);
    }
    const auto ramp = static_cast<int64_t>(params.ramp_epochs * static_cast<double>(context.run.steps_per_epoch));
    length_.total = std::max<int64_t>(1, ramp > 0 ? ramp : context.run.total_steps);
    decay_ = {params.decay, params.decay_final < 0 ? params.decay : params.decay_final,
              params.schedule == "cosine" ? train::Shape::cosine : train::Shape::linear};
  }

  void run(Ports&, StepContext& context) {
    const int64_t step = context.run.schedule_step(context.step);
    const double decay = step > length_.total ? decay_.final : decay_.at(step, length_);
    for (size_t m = 0; m < params.to.size(); ++m) {
      model::Module& to = params.to[m];
      if (to.parameters().size() > 0) SideStream::join(to.parameters()[0].device());  // a teacher may be at work
      train::ema_update(to.parameters(), params.from[m].parameters(), decay);
      if (params.buffers == "own") {
        model::settle_statistics(to, context.run);
        continue;
      }
      move_buffers(to.buffers(), params.from[m].buffers(), params.buffers == "copy" ? 0 : decay);
    }
  }

 private:
  /// Numbers are averaged; counts are copied.
  static void move_buffers(model::Buffers& to, const model::Buffers& from, double decay) {
    const at::NoGradGuard no_grad;
    for (size_t i = 0; i < to.size(); ++i) {
      if (decay > 0 && to[i].is_floating_point()) {
        to[i].mul_(decay).add_(from[i], 1 - decay);
      } else {
        to[i].copy_(from[i]);
      }
    }
  }

  train::Length length_;
  train::Ramp decay_;
};

FLOWRUN_NODE(Ema);

}  // namespace
}  // namespace flowrun
