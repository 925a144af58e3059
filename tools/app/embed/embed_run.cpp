#include "tools/app/embed/embed_run.h"

#include <memory>

#include "graph/contract/device.h"
#include "graph/contract/log.h"
#include "graph/engine/engine.h"
#include "tools/app/run/progress.h"

namespace flowrun::app {
namespace {

/// Where lines of the log go while this lives: around the drawn progress.
class TerminalLog {
 public:
  TerminalLog(Progress& progress, const Ranks* ranks, bool only_warnings) {
    const bool first = ranks == nullptr || ranks->launch().rank == 0;
    LogTarget target("", first ? "" : "rank " + std::to_string(ranks->launch().rank),
                     [&progress](const std::string& line, const std::function<void()>& write) { progress.line(line, write); });
    target.only_warnings = !first || only_warnings;
    log_to(std::make_shared<const LogTarget>(std::move(target)));
  }
  ~TerminalLog() { log_to(nullptr); }
  TerminalLog(const TerminalLog&) = delete;
  TerminalLog& operator=(const TerminalLog&) = delete;
};

}  // namespace

bool run_evaluations(CheckedPipeline pipeline, const EmbedArgs& args, Ranks* ranks, Caller& caller, bool again) {
  resolve_device(pipeline.run);
  const bool first = ranks == nullptr || ranks->launch().rank == 0;
  const std::unique_ptr<Progress> progress = caller.progress(args.quiet || !first, "");
  const TerminalLog log(*progress, ranks, again);
  EngineOptions options;
  options.threads = args.threads;
  options.rank = ranks ? ranks->launch().rank : 0;
  options.world = ranks ? ranks->launch().world : 1;
  options.ranks = ranks;
  options.stop = caller.stop();
  options.on_evaluating = [&](const std::string& source, int64_t done, int64_t total) { progress->evaluating(source, done, total); };
  Engine engine(pipeline, std::move(options));
  const bool stopped = engine.run().stopped;
  progress->clear();
  return stopped;
}

}  // namespace flowrun::app
