#include "nodes/model_resources.h"
#include "nodes/train/adamw_math.h"
#include "nodes/train/schedule.h"

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
    Ref<ModelResource> from, to;
    double decay = 0.9985, decay_final = -1;
    void describe(auto& param) {
      param.reads("from", from, "The student.");
      param.writes("to", to, "The teacher.");
      param("decay", decay, Range{0, 1}, "How much of the teacher stays.");
      param("decay_final", decay_final, Range{-1, 1}, "Approached linearly over the run; -1: constant.");
    }
  };
  Params params;

  void open(const OpenContext& context) {
    length_.total = std::max<int64_t>(1, context.run.total_steps);
    decay_ = {params.decay, params.decay_final < 0 ? params.decay : params.decay_final};
    if (params.from->parameters().size() != params.to->parameters().size()) throw NodeError("\"from\" and \"to\" are models of different shapes");
  }

  void run(Ports&, StepContext& context) { train::ema_update(params.to->parameters(), params.from->parameters(), decay_.at(context.step, length_)); }

 private:
  train::Length length_;
  train::Linear decay_;
};

FLOWRUN_NODE(Ema);

}  // namespace
}  // namespace flowrun
