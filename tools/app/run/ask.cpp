#include "tools/app/run/ask.h"

#include <csignal>
#include <thread>

#include "graph/contract/context.h"
#include "graph/text/json_text.h"
#include "io/error.h"
#include "io/run/checkpoint.h"
#include "io/run/run_directory.h"
#include "io/run/run_holder.h"
#include "tools/app/json_files.h"
#include "tools/app/run/monitor.h"

namespace flowrun::app {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

std::string ended(const fs::path& run) {
  const io::RunPaths paths(run);
  if (const ordered_json result = read_json(paths.result); !result.is_null()) {
    return run.string() + " has ended: " + words_at(result, "status", "?") +
           (result.contains("steps") ? " after step " + json_text(result["steps"]) : "") +
           (result.contains("error") ? ": " + words_at(result, "error") : "");
  }
  if (!io::holds_run(run)) return run.string() + " holds no run";
  const std::string text = run.string() + " is not running";
  return io::has_checkpoint(paths.checkpoints) ? text + "; flowrun run … --resume --out " + run.string() + " goes on"
                                               : text + ", and has no complete checkpoint";
}

io::HeldProcess find_process(const fs::path& run) {
  if (!io::is_locked(run)) throw RunError(ended(run));
  const fs::path file = run / process_name;
  if (!fs::exists(file)) throw RunError(run.string() + " is locked by an unknown process: a run that is starting or ending, or another program");
  try {
    return io::HeldProcess(file);
  } catch (const io::Error& error) {
    throw RunError(run.string() + " can't be asked: " + error.what());
  }
}

std::optional<ordered_json> ask(const fs::path& run, const io::HeldProcess& process) {
  const ordered_json before = read_json(run / status_json_name);
  if (!process.signal(SIGUSR1)) return std::nullopt;
  for (int i = 0; i < 200; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(25));
    ordered_json now = read_json(run / status_json_name);
    if (!now.is_null() && (before.is_null() || now["seconds"] != before["seconds"])) return now;
    if (!io::is_locked(run)) return std::nullopt;
  }
  throw RunError("process " + std::to_string(process.pid()) + " of " + run.string() + " does not answer (is it stopped?)");
}

}  // namespace flowrun::app
