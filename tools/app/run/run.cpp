#include "tools/app/run/run.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "graph/check/resolved.h"
#include "graph/contract/deadline.h"
#include "graph/contract/device.h"
#include "graph/contract/log.h"
#include "graph/contract/ranks.h"
#include "graph/text/json_text.h"
#include "io/file.h"
#include "io/run/checkpoint.h"
#include "tools/app/exit.h"
#include "tools/app/load/load.h"
#include "tools/app/run/agreement.h"
#include "tools/app/run/data_record.h"
#include "tools/app/run/disk.h"
#include "tools/app/run/evaluation_files.h"
#include "tools/app/run/memory_watch.h"
#include "tools/app/run/monitor.h"
#include "tools/app/run/progress.h"
#include "tools/app/run/records.h"
#include "tools/app/run/resume.h"
#include "tools/app/run/trace.h"
#include "tools/app/text.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

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
  /// `beside`: only lines of this thread and those of its engine, since other runs go on in this process.
  RunLog(LogTarget target, bool beside) : beside_(beside) { set(std::make_shared<const LogTarget>(std::move(target))); }
  ~RunLog() { set(nullptr); }
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

 private:
  void set(Log log) const { beside_ ? void(thread_log() = std::move(log)) : log_to(std::move(log)); }
  bool beside_;
};

EngineOptions engine_options(const RunArgs& args, const std::filesystem::path& out, Ranks* ranks, Caller& caller) {
  EngineOptions options;
  options.threads = args.threads;
  options.serial = args.serial;
  options.rank = ranks ? ranks->launch().rank : args.rank;
  options.world = ranks ? ranks->launch().world : args.world;
  options.ranks = ranks;
  options.jitter = args.jitter;
  options.directory = out.string();
  options.stop = caller.stop();
  options.takes = args.takes;
  options.trace = args.trace.empty() ? 0 : static_cast<size_t>(args.trace_calls);
  return options;
}

/// Removes everything that a run which failed to open made in its directory.
class Undo {
 public:
  explicit Undo(Opening& opening) : opening_(opening) {}
  ~Undo() {
    opening_.forget();
    if (directory_ != nullptr) directory_->undo();
  }
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;

  void make(std::optional<io::RunDirectory>& directory, const std::filesystem::path& out, bool resume) {
    opening_.made([&]() -> const io::RunDirectory* {
      directory.emplace(out, resume);
      directory_ = resume ? nullptr : &*directory;
      return directory_;
    });
  }
  void opened() {
    opening_.end();
    directory_ = nullptr;
  }

 private:
  Opening& opening_;
  const io::RunDirectory* directory_ = nullptr;
};

/// Whether the run's files are still in place. Checked rarely: on a network file system it costs a message.
class Place {
 public:
  explicit Place(const std::optional<io::RunDirectory>& directory) : directory_(directory) {}
  bool is_lost() const { return directory_ && (!directory_->in_place() || !std::filesystem::exists(directory_->paths().pipeline)); }
  std::string text() const {
    return directory_->paths().root.string() + " was removed, moved or emptied while the run wrote into it: its results are lost, or lie elsewhere";
  }
  /// Why the run failed: a folder that was removed or replaced explains more than the error where it first showed.
  std::string reason(const std::string& error) const {
    return !is_lost() || error.find(text()) != std::string::npos ? error : text() + "\n  " + error;
  }
  /// Called after a step. Throws RunError.
  void step() {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return;
    next_ = now + std::chrono::seconds(1);
    if (is_lost()) throw RunError(text());
  }

 private:
  const std::optional<io::RunDirectory>& directory_;
  std::chrono::steady_clock::time_point next_{};
};

/// One minute, or FLOWRUN_REPORT_SECONDS.
std::chrono::milliseconds report_limit() {
  const char* const text = std::getenv("FLOWRUN_REPORT_SECONDS");
  const double seconds = text == nullptr ? 60 : std::strtod(text, nullptr);
  return std::chrono::milliseconds(seconds > 0 && seconds < 1e6 ? static_cast<int64_t>(1000 * seconds) : 60'000);
}

/// The page must not keep a run from ending.
void report_in_time(const std::filesystem::path& out, Caller& caller) {
  const auto report = caller.report();
  if (!report) return;
  const auto limit = report_limit();
  if (runs_within(limit, [out, report] { report(out); })) return;
  log_warning(print("report.html is not ready after %g s, and the run ends without it; flowrun report ", 1e-3 * static_cast<double>(limit.count())) +
              out.string() + " makes it");
}

std::string stopped_text(const io::RunPaths& paths, int64_t steps) {
  const std::string text = "stopped after step " + std::to_string(steps);
  if (io::has_checkpoint(paths.checkpoints)) return text + "; go on with --resume --out " + paths.root.string();
  return text + "; there is no checkpoint to go on from (report.checkpoint writes them)";
}

/// The checkpoint that an evaluation found best; null: there is none.
ordered_json best_of(const io::RunPaths& paths) {
  const auto best = io::newest_manifest(paths.best);
  if (!best) return nullptr;
  return {{"metric", best->extra.value("metric", "")},
          {"value", best->extra.value("value", 0.0)},
          {"step", best->step},
          {"checkpoint", "best/step-" + std::to_string(best->step)}};
}

/// The final messages of rank 0: results first, since later work must not delay them.
void conclude(Records& records, const Engine& engine, ordered_json result, std::optional<Monitor>& monitor, const io::RunPaths& paths,
              Caller& caller) {
  if (ordered_json best = best_of(paths); !best.is_null()) result["best"] = std::move(best);
  records.finish(&engine, result);
  report_in_time(paths.root, caller);
  monitor.reset();
  if (result["status"] == "done") log_info("done: " + paths.root.string());
  if (result["status"] == "stopped") log_info(stopped_text(paths, result["steps"]));
}

/// The description of the data that a resumed run continues with. Throws PipelineError on other data than it began with,
/// unless these are accepted.
DataRecord compare_data(const RunArgs& args, const CheckedPipeline& pipeline, const io::RunPaths& paths, int64_t from, bool first,
                        const ordered_json& sources) {
  std::optional<DataRecord> record = DataRecord::read(paths, from);
  if (!record) return {};
  const std::string differences = record->differences(sources);
  if (differences.empty()) return *record;
  if (!args.accept_changed_data) {
    throw PipelineError("error: the data differ from those that the run began with:" + differences +
                        "\nrestore these, or continue with the new ones by --accept-changed-data: the epoch in progress then begins again");
  }
  if (first) log_warning("going on with other data:" + differences);
  const std::string training = pipeline.training_source < 0 ? "" : pipeline.nodes[static_cast<size_t>(pipeline.training_source)].name;
  record->change(sources, training, from, pipeline.run.epochs);
  return *record;
}

/// The run of one rank; usually the only one.
int run_rank(RunArgs args, CheckedPipeline& pipeline, Ranks* ranks, Opening& opening, Caller& caller) {
  const bool first = ranks == nullptr || ranks->launch().rank == 0;
  std::optional<TraceFile> trace;
  if (!args.trace.empty() && first) trace.emplace(args.trace);
  auto endpoint = first && args.prometheus > 0 ? std::make_unique<Endpoint>(args.prometheus) : nullptr;
  const std::filesystem::path out = agreed_folder(args, ranks);
  caller.writes_to(out);
  std::optional<io::RunDirectory> directory;
  Undo undo(opening);
  if (first) undo.make(directory, out, args.resume);
  const io::RunPaths paths(out);
  ordered_json stored;
  if (args.resume) adopt(pipeline.run, stored = stored_pipeline(paths));
  resolve_device(pipeline.run);
  const ordered_json resolved = resolved_json(pipeline);
  if (args.resume) require_same(stored, resolved, /*places=*/!DataRecord::read(paths));
  if (ranks) require_same_on_all(resolved, *ranks);

  const std::unique_ptr<Progress> progress = caller.progress(args.quiet || !first, args.name);
  LogTarget target(first ? paths.log.string() : "", first ? args.name : "rank " + std::to_string(ranks->launch().rank),
                   [&](const std::string& line, const std::function<void()>& write) { progress->line(line, write); });
  target.only_warnings = !first;
  const RunLog log(std::move(target), !args.name.empty());
  Records records(paths);
  DataRecord data;
  MemoryWatch memory(out, !pipeline.plugins.empty());
  Place place(directory);
  std::unique_ptr<Engine> engine;
  EngineOptions options = engine_options(args, first ? out : "", ranks, caller);
  if (args.resume) options.resume = resume_point(paths);
  const bool from_checkpoint = options.resume.has_value();
  const int64_t from = from_checkpoint ? options.resume->step : 0;
  options.on_data = [&](const ordered_json& sources, const std::function<void(const DataChange&)>& changed) {
    if (args.resume) data = compare_data(args, pipeline, paths, from, first, sources);
    // Only once it is certain that the run continues: a refused resume must lose nothing.
    if (args.resume && first) cut_records(paths, from_checkpoint ? std::optional(from) : std::nullopt);
    if (const auto change = data.last_change()) changed(*change);
  };
  std::optional<Monitor> monitor;
  options.on_step = [&](const StepContext& context) {
    monitor->step(context);
    memory.step(context);
    progress->step(*engine, context);
    place.step();
  };
  options.on_evaluating = [&](const std::string& source, int64_t done, int64_t total) {
    monitor->moved();
    progress->evaluating(source, done, total);
  };
  if (first) {
    options.on_evaluation = [&](const std::string& node, const EvaluationContext& context) { records.evaluation(node, context); };
    options.on_failed_step = [&](int64_t step, const std::vector<StepSample>& samples) {
      if (!place.is_lost()) records.failed_step(step, samples);
    };
    options.on_quarantine = [&](const BadSample& bad) { records.quarantine(bad, engine->info()); };
  }
  engine = std::make_unique<Engine>(pipeline, std::move(options));
  if (first) require_room(*engine, resolved, out);
  if (first) check_evaluation_files(pipeline);
  // Later commands on the run look for moved data in their new place.
  const bool moved = args.resume && what_matters(stored) != what_matters(resolved);
  if ((!args.resume || moved) && first) io::write_file_atomic(paths.pipeline, json_text(resolved, 2) + "\n");
  data.set(*engine);
  if (first) data.write(paths);
  undo.opened();
  log_info(opening_line(engine->info(), pipeline.run, out, from));

  int status = 0;
  ordered_json result;
  try {
    monitor.emplace(*engine, Monitor::Options{first ? out : "", pipeline.run.stall_after, std::move(endpoint)});
    const RunResult ended = engine->run();
    if (place.is_lost()) throw RunError(place.text());
    if (ended.stopped) status = exit_stopped;
    result = {{"status", ended.stopped ? "stopped" : "done"}, {"steps", ended.steps}, {"images", ended.images}, {"seconds", ended.seconds}};
    if (!ended.failed_evaluations.empty()) result["evaluations_failed"] = ended.failed_evaluations;
    if (!ended.failed_evaluations.empty() && !ended.stopped) status = exit_failed;
  } catch (const std::exception& error) {
    const std::string why = place.reason(error.what());
    if (ranks) ranks->failed(why);
    if (first) {
      log_info("error: " + why);
    } else {
      caller.say("rank " + std::to_string(ranks->launch().rank) + ": error: " + error.what());
    }
    status = exit_failed;
    result = {{"status", "failed"}, {"error", why}};
  }
  progress->clear();
  if (first && !place.is_lost()) conclude(records, *engine, result, monitor, paths, caller);
  monitor.reset();
  if (trace) trace->write(*engine, pipeline, paths.metrics);
  if (ranks && result["status"] != "failed") ranks->gather("", "the end of the run");  // what rank 0 wrote is complete
  return status;
}

}  // namespace

int run(const RunArgs& args, Caller& caller) {
  const std::unique_ptr<Opening> opening = caller.opening(/*alone=*/args.name.empty());
  Launch launch = find_launch([](const char* name) { return std::getenv(name); });
  CheckedPipeline pipeline = load_checked(args.pipeline);
  refuse_training_ranks(pipeline, args.world);
  launch.timeout = pipeline.run.rank_timeout;
  share_machine(launch.local_rank, launch.local_world);
  const std::unique_ptr<Ranks> ranks = join_ranks(launch);
  try {
    return run_rank(args, pipeline, ranks.get(), *opening, caller);
  } catch (const std::exception& error) {
    if (ranks) ranks->failed(error.what());
    throw;
  }
}

}  // namespace flowrun::app
