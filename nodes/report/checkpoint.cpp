#include "io/run/checkpoint.h"

#include <filesystem>
#include <memory>

#include "graph/contract/direction.h"
#include "graph/contract/period.h"
#include "graph/node.h"
#include "io/run/run_directory.h"
#include "nodes/lib/tensor/report/best_checkpoint.h"
#include "nodes/lib/tensor/report/write_checkpoint.h"

namespace flowrun {
namespace {

const Choices& extremes() {
  static const Choices all{"auto", "largest", "smallest"};
  return all;
}

struct Checkpoint {
  static constexpr NodeInfo info{
      .type = "report.checkpoint",
      .brief = "Saves every model and every stateful node, so that the run can be resumed or its encoder used elsewhere.",
      .scope = Scope::step,
      .details =
          "checkpoints/step-N holds NAME.safetensors for each model and node, and a manifest with sizes and hashes. It appears whole or not "
          "at all. Also written when a run ends, and when it is stopped by a signal. A state that holds NaN or infinity stops the run instead; "
          "earlier checkpoints stay. An encoder's file loads in timm with all keys matched. With best, best/step-N also holds the state at the "
          "step at which that evaluation was best so far; what it finds before training does not count.",
      // After the metrics: a kill between the two must not lose a line of metrics.jsonl; a resumed run writes the lines
      // after its checkpoint again.
      .moment = Moment::save};
  struct Ports {
    void describe(auto&) {}
  };
  struct Params {
    std::string every = "1 epoch";
    int64_t keep = 3;
    std::string best, best_is = "auto";
    void describe(auto& param) {
      param.incidental()("every", every, "How often: \"500 steps\", \"1 epoch\".");
      param.incidental()("keep", keep, positive, "How many of the newest to keep.");
      param.incidental()("best", best, "\"knn.accuracy\": an evaluation node and what it reports; its best state is kept, too. Empty: none.");
      param.incidental()("best_is", best_is, extremes(),
                         "The largest or the smallest value; auto: the smallest of losses, errors, divergences and perplexities, else the largest.");
    }
    std::optional<ParamFault> check() const {
      if (!Period::parse(every)) return ParamFault{"every", Period::fault("every", every)};
      if (!best.empty() && !Metric::parse(best)) return ParamFault{"best", "best must be NODE.VALUE, such as \"knn.accuracy\""};
      return {};
    }
  };
  Params params;

  void open(const OpenContext& context) {
    if (params.best.empty()) return;
    const bool largest = params.best_is == "auto" ? more_is_better(params.best) : params.best_is == "largest";
    best_ = std::make_unique<BestCheckpoint>(context.run, *Metric::parse(params.best), largest);
  }
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
  std::unique_ptr<BestCheckpoint> best_;
};

FLOWRUN_NODE(Checkpoint);

}  // namespace
}  // namespace flowrun
