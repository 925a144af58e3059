// An array job of Slurm that runs a sweep.
#include <algorithm>
#include <filesystem>

#include "io/file.h"
#include "tools/app/sweep/grid.h"
#include "tools/app/sweep/sweep.h"
#include "tools/app/text.h"

namespace flowrun::app {
namespace {

namespace fs = std::filesystem;

/// As a word of a shell.
std::string quoted(const std::string& word) {
  const auto plain = [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("-_./=,:+@%").find(static_cast<char>(c)) != std::string_view::npos;
  };
  if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string command_of(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + quoted(word);
  return out;
}

/// The sweep and its folder, without what a task and the table have of their own.
std::vector<std::string> common_words(const SweepArgs& args, const std::string& program, const std::string& out) {
  std::vector<std::string> words = sweep_words(args);
  words.insert(words.begin(), program);
  words.insert(words.end(), {"--out", out});
  if (!args.cells.empty()) words.insert(words.end(), {"--cells", args.cells});
  if (args.trust) words.emplace_back("--trust");
  return words;
}

std::string report_command(const SweepArgs& args, std::vector<std::string> words) {
  if (!args.decide.empty()) words.insert(words.end(), {"--decide", args.decide});
  if (!args.goal.empty()) words.insert(words.end(), {"--goal", args.goal});
  if (!args.baseline.empty()) words.insert(words.end(), {"--baseline", args.baseline});
  if (args.difference > 0) words.insert(words.end(), {"--difference", print("%.9g", args.difference)});
  words.emplace_back("--report");
  return command_of(words);
}

std::string task_command(const SweepArgs& args, std::vector<std::string> words) {
  if (args.threads > 0) words.insert(words.end(), {"--threads", std::to_string(args.threads)});
  words.insert(words.end(), {"--quiet", "--only"});
  return command_of(words) + " \"$SLURM_ARRAY_TASK_ID\"";
}

/// SIGTERM comes three minutes before the time limit, and reaches flowrun itself (exec), which writes a checkpoint and ends.
std::string script_of(const std::string& name, const std::string& array, const std::string& task, const std::string& report) {
  const std::string folder = "cd " + quoted(fs::current_path().string());
  return "#!/bin/bash\n"
         "#SBATCH --job-name=" +
         name +
         "\n"
         "#SBATCH --array=" +
         array +
         "\n"
         "#SBATCH --ntasks=1\n"
         "#SBATCH --signal=B:TERM@180\n"
         "#SBATCH --open-mode=append\n"
         "# A task for each run of the sweep. Submitted again, it goes on with what was stopped or failed. The table of what is done:\n"
         "#   " +
         folder + " && " + report +
         "\n"
         "set -euo pipefail\n" +
         folder +
         "\n"
         "exec " +
         task + "\n";
}

}  // namespace

void write_slurm(const SweepArgs& args, const std::string& program, Caller& caller) {
  SweepPlan plan = plan_sweep(args);
  check_variants(plan);
  const std::string out = args.out.empty() ? (fs::path("runs") / plan.name).string() : args.out;
  const std::vector<std::string> words = common_words(args, program, out);
  const std::string report = report_command(args, words), limit = args.at_once > 0 ? "%" + std::to_string(args.at_once) : "";
  const std::string name = folder_name(fs::path(plan.name).filename().string()), array = "0-" + std::to_string(plan.runs.size() - 1) + limit;
  io::write_file_atomic(args.slurm, script_of(name, array, task_command(args, words), report));
  caller.say(args.slurm + ": " + std::to_string(plan.runs.size()) +
             " tasks. Submit it with what your cluster asks for, and make the table when they are done, or earlier:\n"
             "  sbatch --time=8:00:00 --gres=gpu:1 " +
             quoted(args.slurm) + "\n  " + report);
}

}  // namespace flowrun::app
