// sweep: each variant is run by a process of its own, or several by one.
#include "tools/app/sweep/sweep.h"

#include <atomic>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <sys/wait.h>
#include <unistd.h>

#include "graph/contract/context.h"
#include "graph/text/json_text.h"
#include "tools/app/exit.h"
#include "tools/flowrun/cli/commands.h"
#include "tools/flowrun/cli/program.h"
#include "tools/flowrun/cli/signals.h"

namespace flowrun::cli {
namespace {

using namespace app;

std::atomic<pid_t> child{0};
std::atomic<bool> stopping{false};

/// Ctrl-C also reaches the child; other signals are sent only to this process.
void pass_on(int signal) {
  stopping = true;
  if (const pid_t to = child.load(); to > 0) kill(to, signal);
}

/// `flowrun …` as a process of its own, with this one's terminal. Its exit status.
int run_process(std::vector<std::string> words, const SweepArgs& args) {
  words.insert(words.begin(), "flowrun");
  if (args.quiet) words.emplace_back("--quiet");
  if (args.trust) words.emplace_back("--trust");
  if (args.threads > 0) words.insert(words.end(), {"--threads", std::to_string(args.threads)});
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const pid_t process = fork();
  if (process < 0) throw RunError("no process could be started");
  if (process == 0) {
    execv("/proc/self/exe", pointers.data());
    _exit(127);
  }
  child = process;
  int status = 0;
  while (waitpid(process, &status, 0) < 0) {
  }
  child = 0;
  if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGINT || WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGHUP)) return exit_stopped;
  return WIFEXITED(status) ? WEXITSTATUS(status) : exit_failed;
}

class Processes : public VariantRunner {
 public:
  explicit Processes(const SweepArgs& args) : args_(args) {}

  void begin() override {
    std::signal(SIGINT, SIG_IGN);  // Ctrl-C is for the run, whose exit status says that it was stopped
    for (const int signal : {SIGTERM, SIGUSR2}) std::signal(signal, pass_on);
    if (!hangup_is_ignored()) std::signal(SIGHUP, pass_on);
  }
  bool stopped() const override { return stopping; }
  int run(const std::vector<Variant>& variants, const std::filesystem::path& out) override {
    return variants.size() == 1 ? run_alone(variants[0], out / variants[0].name) : run_side_by_side(variants, out);
  }

 private:
  int run_alone(const Variant& variant, const std::filesystem::path& out) const {
    const RunArgs run = variant_args(variant, out, args_);
    std::vector<std::string> words = {"run", run.pipeline.file, "--out", run.out};
    for (const std::string& set : run.pipeline.sets) words.insert(words.end(), {"--set", set});
    if (run.resume) words.emplace_back("--resume");
    return run_process(std::move(words), args_);
  }
  int run_side_by_side(const std::vector<Variant>& variants, const std::filesystem::path& out) const {
    std::vector<std::string> names;
    for (const Variant& variant : variants) names.push_back(variant.name);
    std::vector<std::string> words = sweep_words(args_);
    words.insert(words.end(), {"--out", out.string(), "--together", join(names, ",")});
    return run_process(std::move(words), args_);
  }

  const SweepArgs& args_;
};

}  // namespace

int sweep(const SweepArgs& args) {
  if (!args.together.empty()) return app::sweep_together(args, program());
  if (!args.slurm.empty()) {
    app::write_slurm(args, std::filesystem::read_symlink("/proc/self/exe").string(), program());
    return 0;
  }
  Processes processes(args);
  const Swept swept = app::sweep(args, program(), processes);
  std::cout << (args.json ? json_text(swept.found, 2) + "\n" : swept.table);
  return swept.status;
}

}  // namespace flowrun::cli
