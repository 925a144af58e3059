// top: what a running process does, on the machine that it runs on.
#include <csignal>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <unistd.h>

#include "graph/context.h"
#include "io/run_directory.h"
#include "tools/flowrun/commands.h"
#include "tools/flowrun/json_files.h"
#include "tools/flowrun/run/monitor.h"

namespace flowrun::tool {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

std::string ended(const fs::path& run) {
  const io::RunPaths paths(run);
  if (const ordered_json result = read_json(paths.result); !result.is_null()) {
    return run.string() + " has ended: " + result.value("status", "?") + (result.contains("steps") ? " after step " + result["steps"].dump() : "") +
           (result.contains("error") ? ": " + result.value("error", "") : "");
  }
  if (!io::holds_run(run)) return run.string() + " holds no run";
  return run.string() + " is not running; flowrun run … --resume --out " + run.string() + " goes on";
}

/// The process that writes into the directory. Throws RunError unless it can be asked from here.
pid_t find_process(const fs::path& run) {
  const ordered_json process = read_json(run / process_name);
  if (process.is_null() || !io::is_locked(run)) throw RunError(ended(run));
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  if (process.value("host", "") != host) {
    throw RunError(run.string() + " runs on " + process.value("host", "another machine") + ": ask there");
  }
  return process.value("pid", 0);
}

/// Its answer; nothing when it ended before.
std::optional<ordered_json> ask(const fs::path& run, pid_t process) {
  const ordered_json before = read_json(run / status_json_name);
  if (kill(process, SIGUSR1) != 0) {
    if (errno == ESRCH) return std::nullopt;
    throw RunError("process " + std::to_string(process) + " of " + run.string() + " can't be asked: it belongs to another user");
  }
  for (int i = 0; i < 200; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(25));
    ordered_json now = read_json(run / status_json_name);
    if (!now.is_null() && (before.is_null() || now["seconds"] != before["seconds"])) return now;
    if (!io::is_locked(run)) return std::nullopt;
  }
  throw RunError("process " + std::to_string(process) + " of " + run.string() + " does not answer (is it stopped?)");
}

}  // namespace

int top(const TopArgs& args) {
  const fs::path run = args.run;
  const pid_t process = find_process(run);
  const bool again = !args.once && !args.json && isatty(STDOUT_FILENO) != 0;
  do {
    const auto status = ask(run, process);
    if (!status) {
      std::cout << ended(run) << "\n";
      return 0;
    }
    if (args.json) {
      std::cout << status->dump(2) << "\n";
    } else {
      std::cout << (again ? "\033[H\033[2J" : "") << status_text(*status) << std::flush;
    }
    if (again) std::this_thread::sleep_for(std::chrono::duration<double>(args.every));
  } while (again);
  return 0;
}

}  // namespace flowrun::tool
