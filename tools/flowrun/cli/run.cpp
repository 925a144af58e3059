// run: a run in this program.
#include "tools/app/run/run.h"

#include <csignal>
#include <cstdio>

#include "tools/app/results/report.h"
#include "tools/flowrun/cli/commands.h"
#include "tools/flowrun/cli/program.h"
#include "tools/flowrun/cli/progress.h"
#include "tools/flowrun/cli/signals.h"

namespace flowrun::cli {
namespace {

class Program : public app::Caller {
 public:
  void say(const std::string& line) override { cli::say(line); }
  std::unique_ptr<app::Progress> progress(bool quiet, const std::string& name) override { return std::make_unique<TerminalProgress>(quiet, name); }
  std::unique_ptr<app::Opening> opening(bool alone) override {
    std::signal(SIGPIPE, SIG_IGN);  // the reader of the output, or another rank, may be gone: the run goes on, or fails with a reason
    catch_stop_signals();
    return std::make_unique<SignalOpening>(alone);
  }
  const std::atomic<bool>* stop() override { return &stop_requested(); }
  std::function<void(const std::filesystem::path& run)> report() override { return app::try_report; }
};

}  // namespace

app::Caller& program() {
  static Program program;
  return program;
}

void say(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

int run(const app::RunArgs& args) { return app::run(args, program()); }

}  // namespace flowrun::cli
