#include "graph/node.h"
#include "nodes/lib/tensor/device/side_stream.h"
#include "nodes/lib/tensor/model/module.h"
#include "nodes/lib/tensor/optim/adamw_math.h"
#include "nodes/lib/tensor/optim/schedule.h"

namespace flowrun {
namespace {

struct Ema {
  static constexpr NodeInfo info{.type = "train.ema",
                                 .brief = "Moves the teacher towards the student: teacher = decay x teacher + (1 - decay) x student.",
                                 .scope = Scope::step,
                                 .details = "Over all parameters, in float32, once a step; put it after the update."};
  struct Ports {
    void describe(auto&) {}
  };
  struct Params {
    Ref<model::Module> from, to;
    double decay = 0.9985, decay_final = -1, ramp_epochs = 0;
    std::string schedule = "linear";
    void describe(auto& param) {
      param.reads("from", from, "The student.");
      param.writes("to", to, "The teacher.");
      param("decay", decay, Range{0, 1}, "How much of the teacher stays.");
      param("decay_final", decay_final, Range{-1, 1}, "What decay becomes; -1: constant.");
      param("schedule", schedule, schedules(), "How it gets there. cosine: as BYOL and DINO.");
      param("ramp_epochs", ramp_epochs, not_negative, "Over how many epochs; after them it stays. 0: over the run.");
    }
    static const Choices& schedules() {
      static const Choices choices = {"linear", "cosine"};
      return choices;
    }
  };
  Params params;

  void open(const OpenContext& context) {
    model::require_not_frozen(*params.to, params.to.names[0]);
    const auto ramp = static_cast<int64_t>(params.ramp_epochs * static_cast<double>(context.run.steps_per_epoch));
    length_.total = std::max<int64_t>(1, ramp > 0 ? ramp : context.run.total_steps);
    decay_ = {params.decay, params.decay_final < 0 ? params.decay : params.decay_final,
              params.schedule == "cosine" ? train::Shape::cosine : train::Shape::linear};
    if (params.from->parameters().size() != params.to->parameters().size()) throw NodeError("\"from\" and \"to\" are models of different shapes");
  }

  void run(Ports&, StepContext& context) {
    const int64_t step = context.run.schedule_step(context.step);
    const double decay = step > length_.total ? decay_.final : decay_.at(step, length_);
    if (params.to->parameters().size() > 0) SideStream::join(params.to->parameters()[0].device());  // a teacher may be at work
    train::ema_update(params.to->parameters(), params.from->parameters(), decay);
  }

 private:
  train::Length length_;
  train::Ramp decay_;
};

FLOWRUN_NODE(Ema);

}  // namespace
}  // namespace flowrun
