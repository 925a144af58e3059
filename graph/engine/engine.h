// Runs a checked pipeline: opens models and nodes, restores them, trains in segments between evaluations, finishes.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "graph/contract/after_evaluations.h"
#include "graph/run/execute.h"

namespace flowrun {

/// The checkpoint that a run continues from.
struct ResumePoint {
  int64_t step = 0;
  Snapshot snapshot;
};

/// A run continues with changed data: the epoch in progress begins again with the new data, steps go on counting, and
/// schedules stay where they were until the epochs catch up.
struct DataChange {
  int64_t after_step = 0;   // the last one with the old data
  int64_t epochs_done = 0;  // whole ones, at that step
  double progress = 0;      // of the schedules at that step, 0..1
};

struct Slowdown;

struct EngineOptions {
  int threads = 0;  // data threads; 0: run.threads
  bool serial = false;
  int rank = 0, world = 1;
  Ranks* ranks = nullptr;                        // none: a world of 1, or ranks that only load data
  uint64_t jitter = 0;                           // test only: seeded delays in the pool
  size_t trace = 0;                              // how many calls of each thread to keep for a trace
  std::vector<std::string> stubs;                // for measuring: nodes that replay their first output (graph/plan/stubs.h)
  const Slowdown* slowdown = nullptr;            // for measuring (graph/measure/slowdown.h)
  bool wraps = false;                            // for measuring: a source may have fewer samples than a batch, which are then repeated within it
  CpuReadings cpu_readings = CpuReadings::none;  // in the statistics of the pool's nodes; for a profile, since it slows small nodes
  std::string directory;
  const std::atomic<bool>* stop = nullptr;  // set from a signal handler: end after the step in flight
  std::optional<ResumePoint> resume;
  /// Called when the sources are open, with data_json(). May throw, or return the run's last change of data.
  std::function<void(const nlohmann::ordered_json& data, const std::function<void(const DataChange&)>& changed)> on_data;
  /// After every group of the training stream (graph/run/stream.h). Not together with `gives`.
  OnGroup on_group;
  /// After every step, on the device's thread.
  std::function<void(const StepContext&)> on_step;
  std::function<void(const std::string& node, const EvaluationContext&)> on_evaluation;
  /// Called while an evaluation passes a stream: source, images so far, images in all.
  std::function<void(const std::string& source, int64_t done, int64_t total)> on_evaluating;
  std::function<void(const BadSample&)> on_quarantine;
  /// Called when a device or step node failed at this step (because of a loss that is not finite, for example), with
  /// the step's samples.
  std::function<void(int64_t step, const std::vector<StepSample>&)> on_failed_step;
  // For replaying a run.
  Tap tap;                             // observes outputs of pool nodes
  const Replaced* replaced = nullptr;  // places that begin with their substitute, as in the run
  std::vector<bool> in_ledger;         // per node; empty: the nodes that lead to a node that trains
  // For runs that share their input (graph/run/shared_input.h).
  SharedInput* gives = nullptr;  // its leader
  InputTaker* takes = nullptr;   // for a run that takes groups from it
};

struct RunResult {
  bool stopped = false;  // on request; the run can be resumed
  int64_t steps = 0;     // completed, those before a resume included
  int64_t images = 0;
  double seconds = 0;                                     // of this process
  std::map<std::string, std::string> failed_evaluations;  // by name: why
};

/// The time of a segment; kept for a trace, whose events hold places in their segment.
struct TracedSegment {
  Segment segment;
  uint64_t begin, end = UINT64_MAX;  // ticks
};

/// Bytes that a run keeps in memory.
struct Footprint {
  size_t groups = 0;  // in flight, for the stream that needs most
  size_t models = 0;  // with optimizers' states, and a gradient for each weight they train
  size_t saved = 0;   // of a checkpoint: without the gradients
};

class Engine final : private RunView {
 public:
  /// Opens everything. Throws PipelineError (the pipeline can't run on this data or machine) or RunError.
  Engine(CheckedPipeline& pipeline, EngineOptions options);
  ~Engine() override;

  /// Runs to the end. Throws RunError at the first failure, after all steps before it have ended and been saved.
  RunResult run();
  /// Runs only these steps of the training stream, at any place of the run, without evaluations: for a pipeline without
  /// models and states, since their values at that step are not known. May be called again. Throws RunError.
  void repeat(int64_t first_step, int64_t last_step);

  /// The samples of a step on this rank. Every sample follows from its place; only the replaced ones have to be known.
  std::vector<StepSample> samples_of(int64_t step, const Replaced& replaced) const;
  const RunInfo& info() const { return info_; }
  /// The memory that is known before the run, without tensors between nodes. Copies the states to measure them.
  Footprint footprint();
  const Plan& plan() const { return plan_; }
  /// SourceData::json() of each source, by its name.
  nlohmann::ordered_json data_json() const;
  /// Per node (see stats.h), under "buffers" the groups in flight, and under "recordings" what was recorded and played.
  nlohmann::ordered_json stats_json() const;
  /// The statistics, and the present work of each thread, the groups in flight, and what the device's queue waits for.
  /// Any thread, at any time.
  nlohmann::ordered_json status_json() const;
  const Stats& stats() const { return *stats_; }
  /// The segments in order; empty without EngineOptions::trace. Call once run() has ended.
  const std::vector<TracedSegment>& traced_segments() const { return traced_; }

 private:
  std::string make_recorder();
  void open_sources();
  void match_labels();
  void compare_data();
  std::map<std::string, const SourceData*> input_data(const CheckedNode& node) const;
  void size_run();
  void open_rest();
  void prove_memory();
  void share_input();
  std::string text_of(const Failure& failure) const;
  void restore();
  std::optional<Failure> train(int64_t to);
  void evaluate(const std::function<bool(const EvaluationTimes&)>& due);
  bool is_active(int evaluation, int source) const;
  bool pass(const StreamPlan& stream);
  void run_evaluation(int n, Findings& found);
  StepContext step_context(bool stopping, Reports& reports) const;
  std::string call_evaluation(CheckedNode& node, EvaluationContext& context);
  void fail_evaluation(int n, const std::string& why);
  bool any_due(const std::function<bool(const EvaluationTimes&)>& due) const;
  int64_t next_stop(int64_t step) const;
  void finish_nodes(bool stopping);
  StreamOptions stream_options();
  void watch(StreamRun* run);
  nlohmann::ordered_json thread_status(int worker) const;
  double own_seconds() const override;
  double seconds() const override { return stats_->seconds(); }
  std::vector<StepSample> samples(int64_t step) const override { return samples_of(step, replaced_); }
  bool stop_asked() const;
  void agree(int64_t step, StepTotals& totals) const;
  void require_equal(const std::string& what, const std::string& mine) const;
  Snapshot snapshot() const override;
  double epoch_at(int64_t step) const;

  CheckedPipeline& pipeline_;
  EngineOptions options_;
  Plan plan_;
  std::optional<Stubs> stubs_;
  RunInfo info_;
  std::unique_ptr<GroupRecorder> recorder_;  // none: see why_not_recorded_
  std::string why_not_recorded_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Stats> stats_;
  mutable std::mutex watch_mutex_;
  StreamRun* in_work_ = nullptr;
  std::vector<TracedSegment> traced_;
  std::vector<std::unique_ptr<Resource>> resources_;  // per model
  std::vector<SourceData> data_;                      // per node; of sources alone
  std::optional<DataChange> change_;
  std::vector<bool> inactive_;  // evaluation nodes that are not due
  std::map<std::string, std::string> failed_evaluations_;
  bool evaluation_stopped_ = false;  // a stop was requested while an evaluation passed its streams
  Footprint footprint_;              // without the models
  int64_t step_ = 0;                 // completed
  BadSamples bad_;                   // of training
  Replaced replaced_;                // at most run.max_bad
  std::atomic<int64_t> slots_ = 0;
  std::atomic<size_t> bytes_in_flight_ = 0;
};

}  // namespace flowrun
