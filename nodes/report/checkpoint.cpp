#include "io/run/checkpoint.h"

#include <filesystem>

#include "graph/contract/period.h"
#include "graph/node.h"
#include "io/run/run_directory.h"
#include "nodes/lib/tensor/report/write_checkpoint.h"

namespace flowrun {
namespace {

struct Checkpoint {
  static constexpr NodeInfo info{
      .type = "report.checkpoint",
      .brief = "Saves every model and every stateful node, so that the run can be resumed or its encoder used elsewhere.",
      .scope = Scope::step,
      .details =
          "checkpoints/step-N holds NAME.safetensors for each model and node, and a manifest with sizes and hashes. It appears whole or not "
          "at all. Also written when a run ends, and when it is stopped by a signal. A state that holds NaN or infinity stops the run instead; "
          "earlier checkpoints stay. An encoder's file loads in timm with all keys matched.",
      // After the metrics: a kill between the two must not lose a line of metrics.jsonl; a resumed run writes the lines
      // after its checkpoint again.
      .moment = Moment::save};
  struct Ports {
    void describe(auto&) {}
  };
  struct Params {
    std::string every = "1 epoch";
    int64_t keep = 3;
    void describe(auto& param) {
      param.incidental()("every", every, "How often: \"500 steps\", \"1 epoch\".");
      param.incidental()("keep", keep, positive, "How many of the newest to keep.");
    }
    std::optional<ParamFault> check() const {
      if (!Period::parse(every)) return ParamFault{"every", Period::fault("every", every)};
      return {};
    }
  };
  Params params;

  void run(Ports&, StepContext& context) {
    if (Period::parse(params.every)->due(context.step, context.run)) write(context);
  }
  void finish(StepContext& context) {
    if (written_ != context.step) write(context);
  }

 private:
  void write(StepContext& context) {
    const std::filesystem::path root = io::RunPaths(context.run.directory).checkpoints;
    const std::filesystem::path path = write_checkpoint(root, context, NotFinite::refuse);
    written_ = context.step;
    if (!path.empty()) io::keep_newest_checkpoints(root, static_cast<size_t>(params.keep), path);
  }

  int64_t written_ = -1;
};

FLOWRUN_NODE(Checkpoint);

}  // namespace
}  // namespace flowrun
