#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <set>
#include <unistd.h>

#include "graph/device.h"
#include "graph/log.h"
#include "graph/ranks.h"
#include "io/file.h"
#include "tools/flowrun/json_files.h"
#include "tools/flowrun/load.h"
#include "tools/flowrun/memory_watch.h"
#include "tools/flowrun/monitor.h"
#include "tools/flowrun/progress.h"
#include "tools/flowrun/report.h"
#include "tools/flowrun/resume.h"
#include "tools/flowrun/terminal.h"
#include "tools/flowrun/trace.h"

namespace flowrun::tool {
namespace {

using nlohmann::ordered_json;

std::atomic<bool> stop_requested{false};

void ask_to_stop(int signal) {
  stop_requested.store(true);
  if (signal != SIGINT) return;
  Terminal::disturbed.store(true);
  const char text[] = "\nstopping after this step (Ctrl-C again: at once, without a checkpoint)\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, text, sizeof text - 1);
  std::signal(SIGINT, SIG_DFL);
}

void catch_signals() {
  struct sigaction action {};
  action.sa_handler = ask_to_stop;
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM, SIGUSR2}) sigaction(signal, &action, nullptr);
}

/// runs/NAME; for a new run the first of runs/NAME, runs/NAME-2, … that is free, for --resume the last that isn't.
std::filesystem::path run_folder(const RunArgs& args) {
  if (!args.out.empty()) return args.out;
  const std::filesystem::path base = std::filesystem::path("runs") / std::filesystem::path(args.pipeline.file).stem();
  std::filesystem::path last = base;
  for (int n = 1;; ++n) {
    const std::filesystem::path next = n == 1 ? base : std::filesystem::path(base.string() + "-" + std::to_string(n));
    if (!io::holds_run(next)) return args.resume ? last : next;
    last = next;
  }
}

/// The run's files beside those that nodes write.
class Records {
 public:
  explicit Records(const io::RunPaths& paths) : paths_(paths) {}

  void evaluation(const std::string& node, const EvaluationContext& context) {
    ordered_json line = {{"node", node}, {"step", context.step}, {"epoch", context.epoch}};
    std::string text;
    for (const auto& [name, value] : context.reports) {
      line[name] = value;
      char number[64];
      std::snprintf(number, sizeof number, "%s%s %.4g", text.empty() ? "" : ", ", name.c_str(), value);
      text += number;
    }
    for (const auto& [name, words] : context.notes) {
      line[name] = words;
      text += ", " + name + " " + words;
    }
    io::JsonLines(evaluations()).append(line);
    log_info("evaluation " + node + " after step " + std::to_string(context.step) + ": " + text);
  }

  void quarantine(const BadSample& bad, const RunInfo& run) {
    if (!bad.kept) {
      log_warning("replaced a sample that failed: " + bad.key + "\n  " + bad.error);
    } else if (kept_.insert(bad.key).second) {  // epoch after epoch it is met again
      log_warning("kept a sample: " + bad.key + "\n  " + bad.error);
    }
    if (!bad.training) return;
    if (!quarantine_) quarantine_.emplace(paths_.quarantine);
    const int64_t step =
        static_cast<int64_t>(bad.epoch) * run.steps_per_epoch + static_cast<int64_t>(bad.position) / std::max<int64_t>(1, run.batch) + 1;
    ordered_json line = {{"step", step},         {"epoch", bad.epoch}, {"position", bad.position},
                         {"sample", bad.sample}, {"key", bad.key},     {"error", bad.error}};
    if (bad.kept) line["kept"] = true;
    quarantine_->append(line);
  }

  /// What was in a step whose loss, say, was not finite: to look at, or to leave out.
  void failed_step(int64_t step, const std::vector<StepSample>& samples) {
    ordered_json list = ordered_json::array();
    for (const StepSample& s : samples) list.push_back({{"epoch", s.epoch}, {"position", s.position}, {"sample", s.sample}, {"key", s.key}});
    const std::filesystem::path path = paths_.root / ("failed-step-" + std::to_string(step) + ".json");
    io::write_file_atomic(path, ordered_json{{"step", step}, {"samples", list}}.dump(2) + "\n");
    log_info("the samples of step " + std::to_string(step) + " are listed in " + path.string());
  }

  /// stats.json, result.md, then result.json: last, so that its presence says that all is there. What is made of them
  /// (report.html) comes behind.
  void finish(const Engine* engine, ordered_json result) {
    if (engine) io::write_file_atomic(paths_.stats, engine->stats_json().dump(2) + "\n");
    std::string table;
    each_line(evaluations(), [&](ordered_json entry) {
      const std::string node = entry.at("node");
      entry.erase("node");
      auto history = result.contains(node) ? result[node]["history"] : ordered_json::array();
      history.push_back(entry);
      result[node] = entry;
      result[node]["history"] = std::move(history);
    });
    for (const auto& [node, entry] : result.items()) table += table_rows(node, entry);
    const std::string head = "| node | metric | value | selected on |\n|---|---|---|---|\n";
    if (!table.empty()) io::write_file_atomic(paths_.root / "result.md", head + table);
    io::write_file_atomic(paths_.result, result.dump(2) + "\n");
  }

 private:
  /// One row of result.md for each number that the evaluation found last.
  static std::string table_rows(const std::string& node, const ordered_json& entry) {
    std::string rows;
    if (!entry.is_object()) return rows;
    for (const auto& [metric, value] : entry.items()) {
      if (!value.is_number() || metric == "step" || metric == "epoch") continue;
      char number[64];
      std::snprintf(number, sizeof number, "%.6g", value.get<double>());
      rows += "| " + node + " | " + metric + " | " + number + " | " + entry.value("selected_on", "") + " |\n";
    }
    return rows;
  }

  std::filesystem::path evaluations() const { return paths_.root / "evaluations.jsonl"; }
  const io::RunPaths& paths_;
  std::optional<io::JsonLines> quarantine_;
  std::set<std::string> kept_;  // files that the log names
};

std::string opening_line(const RunInfo& run, const RunParams& params, const std::filesystem::path& out, int64_t from) {
  std::string text = "run " + out.string() + ": ";
  if (run.batch > 0) {
    text += std::to_string(run.last_step) + " steps of " + std::to_string(run.batch) + " images, " + std::to_string(run.steps_per_epoch) +
            " to an epoch; ";
  }
  text += run.device + " " + run.precision + ", " + std::to_string(params.intra_op) + (params.intra_op == 1 ? " thread" : " threads") +
          " inside operations, " + std::to_string(run.threads) + " for data";
  if (run.world > 1) text += "; " + std::to_string(run.world) + " ranks";
  if (from > 0) text += "; resumed after step " + std::to_string(from);
  return text;
}

/// The lines of this run go to its log.txt while this lives.
class RunLog {
 public:
  /// `beside`: of this thread and those of its engine, since other runs go on in this process.
  RunLog(LogTarget target, bool beside) : beside_(beside) { set(std::make_shared<const LogTarget>(std::move(target))); }
  ~RunLog() { set(nullptr); }
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

 private:
  void set(Log log) const { beside_ ? void(thread_log() = std::move(log)) : log_to(std::move(log)); }
  bool beside_;
};

EngineOptions engine_options(const RunArgs& args, const std::filesystem::path& out, Ranks* ranks) {
  EngineOptions options;
  options.threads = args.threads;
  options.serial = args.serial;
  options.rank = ranks ? ranks->launch().rank : args.rank;
  options.world = ranks ? ranks->launch().world : args.world;
  options.ranks = ranks;
  options.jitter = args.jitter;
  options.directory = out.string();
  options.stop = &stop_requested;
  options.takes = args.takes;
  options.trace = args.trace.empty() ? 0 : static_cast<size_t>(args.trace_calls);
  return options;
}

/// Gradients are exchanged only where ranks have found each other.
void refuse_training_ranks(const CheckedPipeline& pipeline, int world) {
  for (const CheckedNode& node : pipeline.nodes) {
    const bool writes = std::any_of(node.uses.begin(), node.uses.end(), [](const ModelUse& use) { return use.access == Models::Access::writes; });
    if (world > 1 && writes) throw PipelineError("error: " + node.name + " trains: start the ranks with torchrun --no-python, srun or mpirun");
  }
}

/// The first rank decides where; after a restart all go on with what is there.
std::filesystem::path agreed_folder(RunArgs& args, Ranks* ranks) {
  if (ranks == nullptr) return run_folder(args);
  const Launch& launch = ranks->launch();
  if (launch.restarts > 0) args.resume = true;
  std::filesystem::path out = launch.rank == 0 ? run_folder(args) : "";
  if (launch.rank == 0 && launch.restarts > 0 && !io::holds_run(out)) args.resume = false;
  const std::vector<std::string> all = ranks->gather((args.resume ? "+" : "-") + out.string(), "naming the run directory");
  args.resume = all[0][0] == '+';
  return all[0].substr(1);
}

/// All ranks must run the same; says what differs from rank 0's.
void require_same_on_all(const ordered_json& resolved, Ranks& ranks) {
  ordered_json plain = resolved;
  plain["run"].erase("intra_op");  // machines differ, and each loss is a mean over ranks anyway
  const std::string hash = pipeline_hash(plain);
  const std::vector<std::string> hashes = ranks.gather(hash, "comparing the pipelines");
  if (std::all_of(hashes.begin(), hashes.end(), [&](const std::string& other) { return other == hash; })) return;
  const std::vector<std::string> all = ranks.gather(resolved.dump(), "comparing the pipelines");
  for (size_t rank = 1; rank < all.size(); ++rank) {
    if (hashes[rank] == hashes[0]) continue;
    try {
      require_same(ordered_json::parse(all[0]), ordered_json::parse(all[rank]));
    } catch (const PipelineError& error) {
      const std::string text = error.what();
      throw PipelineError("error: rank " + std::to_string(rank) +
                          " has another pipeline than rank 0:" + text.substr(text.find('\n'), text.rfind('\n') - text.find('\n')) +
                          "\nstart all ranks with the same file and the same --set");
    }
  }
}

/// A pipeline that can't be opened leaves nothing behind.
std::unique_ptr<Engine> open_engine(CheckedPipeline& pipeline, EngineOptions options, bool fresh, const std::filesystem::path& out) {
  try {
    return std::make_unique<Engine>(pipeline, std::move(options));
  } catch (...) {
    if (fresh) std::filesystem::remove_all(out);
    throw;
  }
}

/// One rank's run; the only one's, mostly.
int run_rank(RunArgs args, CheckedPipeline& pipeline, Ranks* ranks) {
  const bool first = ranks == nullptr || ranks->launch().rank == 0;
  std::optional<TraceFile> trace;
  if (!args.trace.empty() && first) trace.emplace(args.trace);
  const std::filesystem::path out = agreed_folder(args, ranks);
  const bool fresh = !std::filesystem::exists(out);
  std::optional<io::RunDirectory> directory;
  if (first) directory.emplace(out, args.resume);
  const io::RunPaths paths(out);
  ordered_json stored;
  if (args.resume) adopt(pipeline.run, stored = stored_pipeline(paths));
  device_runtime().resolve(pipeline.run);
  const ordered_json resolved = resolved_json(pipeline);
  if (args.resume) require_same(stored, resolved);
  if (ranks) require_same_on_all(resolved, *ranks);

  Progress progress(args.quiet || !first, args.name);
  LogTarget target(first ? paths.log.string() : "", first ? args.name : "rank " + std::to_string(ranks->launch().rank),
                   [&](const std::function<void()>& write) { progress.above(write); });
  target.only_warnings = !first;
  const RunLog log(std::move(target), !args.name.empty());
  Records records(paths);
  MemoryWatch memory(out);
  std::unique_ptr<Engine> engine;
  EngineOptions options = engine_options(args, first ? out : "", ranks);
  if (args.resume) options.resume = resume_point(paths);
  const int64_t from = options.resume ? options.resume->step : 0;
  if (args.resume && first) cut_records(paths, options.resume);
  std::optional<Monitor> monitor;
  options.on_step = [&](const StepContext& context) {
    monitor->step(context);
    memory.step(context);
    progress.step(*engine, context);
  };
  options.on_evaluating = [&](const std::string& source, int64_t done, int64_t total) {
    monitor->moved();
    progress.evaluating(source, done, total);
  };
  if (first) {
    options.on_evaluation = [&](const std::string& node, const EvaluationContext& context) { records.evaluation(node, context); };
    options.on_failed_step = [&](int64_t step, const std::vector<StepSample>& samples) { records.failed_step(step, samples); };
    options.on_quarantine = [&](const BadSample& bad) { records.quarantine(bad, engine->info()); };
  }
  engine = open_engine(pipeline, std::move(options), fresh && first, out);
  if (!args.resume && first) io::write_file_atomic(paths.pipeline, resolved.dump(2) + "\n");
  log_info(opening_line(engine->info(), pipeline.run, out, from));

  catch_signals();
  int status = 0;
  ordered_json result;
  try {
    monitor.emplace(*engine, Monitor::Options{first ? out : "", pipeline.run.stall_after, first ? args.prometheus : 0});
    const RunResult ended = engine->run();
    if (ended.stopped) status = exit_stopped;
    result = {{"status", ended.stopped ? "stopped" : "done"}, {"steps", ended.steps}, {"images", ended.images}, {"seconds", ended.seconds}};
  } catch (const std::exception& error) {
    if (ranks) ranks->failed(error.what());
    if (first) {
      log_info(std::string("error: ") + error.what());
    } else {
      std::fprintf(stderr, "rank %d: error: %s\n", ranks->launch().rank, error.what());
    }
    status = exit_failed;
    result = {{"status", "failed"}, {"error", error.what()}};
  }
  monitor.reset();
  progress.clear();
  if (first) {
    records.finish(engine.get(), result);
    try_report(out);
    if (trace) trace->write(*engine, pipeline, paths.metrics);
  }
  if (status == 0) log_info("done: " + out.string());
  if (status == exit_stopped) log_info("stopped after step " + result["steps"].dump() + "; go on with --resume --out " + out.string());
  return status;
}

}  // namespace

int run(const RunArgs& args) {
  Launch launch = find_launch([](const char* name) { return std::getenv(name); });
  CheckedPipeline pipeline = load_checked(args.pipeline);
  refuse_training_ranks(pipeline, args.world);
  launch.timeout = pipeline.run.rank_timeout;
  device_runtime().share_machine(launch.local_rank, launch.local_world);
  const std::unique_ptr<Ranks> ranks = join_ranks(launch);
  try {
    const int status = run_rank(args, pipeline, ranks.get());
    if (ranks && status != exit_failed) ranks->gather("", "the end of the run");  // what rank 0 wrote is complete
    return status;
  } catch (const std::exception& error) {
    if (ranks) ranks->failed(error.what());
    throw;
  }
}

}  // namespace flowrun::tool
