// One segment of one stream: the state machine that both executors drive. It decides which tasks are ready; an executor
// decides on which thread they run.
//
//   lanes (pool)      take the next sample, run its tasks, deliver it to its group, and go on with the next sample
//   batch tasks (pool) run when a group has all its samples
//   device tasks       run on one thread, lowest (step, group, task) first among those whose gates are open
//   whole nodes        run there when all groups of the step have come to their barrier
//
// The groups in flight are a ring of preallocated records; a lane whose group has no record yet parks. So memory is
// bounded, and since lanes take samples in order the oldest group always completes: throttling can't deadlock.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "graph/measure/slowdown.h"
#include "graph/measure/worker.h"
#include "graph/plan/stubs.h"
#include "graph/run/in_flight.h"
#include "graph/run/shared_input.h"
#include "graph/run/tap.h"

namespace flowrun {

/// The totals of a step: on this rank, then on all.
struct StepTotals {
  uint64_t ledger = 0;
  bool stop = false;  // a stop was requested
  std::vector<BadSample> bad;
};

class GroupRecorder;
class DeviceRuntime;
class StreamRun;

/// Called on the device's thread, group after group, when all nodes of a group have run and its outputs are still there. It may put other
/// objects of the same type in their place. False: no more groups are wanted, and the run ends with the step before.
using OnGroup = std::function<bool(GroupRecord& group, const Segment& segment)>;

struct StreamOptions {
  uint64_t seed = 0;
  int64_t max_bad = 0;
  BadSamples* bad = nullptr;  // that were replaced so far; the device's thread adds to them
  size_t memory = SIZE_MAX;   // bytes for the groups in flight
  int lanes = 1;
  int threads = 1;
  CpuReadings cpu_readings = CpuReadings::none;
  const Stubs* stubs = nullptr;             // for measuring: nodes that replay their first output
  const Slowdown* slowdown = nullptr;       // for measuring
  uint64_t jitter = 0;                      // test only: random delays and spawns, seeded
  const std::atomic<bool>* stop = nullptr;  // ends the run after the step in flight
  const RunInfo* run = nullptr;
  const std::vector<bool>* inactive = nullptr;           // per node: folds nothing now (evaluations that are not due)
  std::function<void(int64_t step, StepTotals&)> agree;  // turns totals of this rank into those of all; none: a world of 1
  const RunView* view = nullptr;                         // for step nodes
  std::function<void(const StepContext&)> on_step;       // a step has ended
  std::function<void(int64_t images)> on_images;         // after each group: how many images have passed
  std::function<void(StreamRun*)> watch;                 // from its beginning; null: it has ended
  std::function<void(const BadSample&)> quarantine;      // a sample was replaced, or kept with a remark
  Tap tap;                                               // observes outputs of pool nodes
  const Replaced* replaced = nullptr;                    // places that begin with their substitute
  OnGroup on_group;                                      // a group is complete
  GroupRecorder* recorder = nullptr;                     // takes over work that can be recorded
  InputTaker* takes = nullptr;                           // delivers the groups that another run makes: there are no lanes
};

class StreamRun {
 public:
  /// Makes the records; runs the first sample once to learn its size, and throws PipelineError when run.memory can't
  /// hold one group. `spawn` puts work on the pool, from any thread.
  StreamRun(CheckedPipeline& pipeline, const Plan& plan, const Segment& segment, Stats& stats, StreamOptions options,
            std::function<void(const Work&)> spawn);
  ~StreamRun();
  StreamRun(const StreamRun&) = delete;
  StreamRun& operator=(const StreamRun&) = delete;

  /// The lanes to start with.
  std::vector<Work> lanes();
  /// Runs `work` and all that becomes ready by it on this thread, until nothing is left or the lane parks.
  void run(Work work, Worker& worker);

  /// Device side, one thread. Runs the next device task whose gates are open; false if there is none now.
  bool run_device_task(Worker& worker);
  /// Blocks until there may be one; false when the segment has ended.
  bool wait_for_device_task();

  /// Any thread, at any time.
  InFlight in_flight();
  const Segment& segment() const { return segment_; }
  /// Samples of the segment taken so far, including those in work; any thread.
  int64_t samples_taken() const { return next_sample_.load(std::memory_order_relaxed); }
  int64_t completed_steps() const { return completed_steps_; }
  const std::optional<Failure>& failure() const { return failure_; }
  uint64_t last_ledger() const { return last_ledger_; }
  int64_t slots() const { return static_cast<int64_t>(groups_.size()); }
  size_t bytes_in_flight() const { return bytes_in_flight_; }

 private:
  struct DeviceItem {
    int64_t step, sequence;
    int level, task;
    Record* record;
    uint64_t since;
  };

  const LevelPlan& level(int l) const { return segment_.stream->level[l]; }
  // Samples.
  bool admit(SampleRecord& lane);
  void begin_sample(SampleRecord& lane, Worker& worker);
  void run_tasks(Record& record, int level, int task, Worker& worker);
  bool run_task(Record& record, int level, const Task& task, int index, Worker& worker);
  void done_reading(Record& record, int level, const Task& task) const;
  bool replays(int node, const Record& record) const {
    return options_.stubs != nullptr && node >= 0 && record.filled && options_.stubs->skips(node);
  }
  void deliver_sample(SampleRecord& lane, Worker& worker);
  void replace_sample(SampleRecord& lane, Worker& worker);
  Failure sample_failure(const SampleRecord& lane, const CheckedNode& node, const std::string& what, const std::string& hint) const;
  std::string cure(const SampleRecord& lane) const;
  void substitute_known(SampleRecord& lane) const;
  void tap(Record& record, int level, const Task& task, Worker& worker, uint64_t ticks) const;
  void list_sample(const SampleRecord& lane, const std::string& why, bool kept);
  void sample_done(GroupRecord& group, Worker* worker);
  void ready(Record& record, int level, int task, Worker* worker);
  void delay(Worker& worker) const;
  // Groups.
  void open_group(int64_t index);
  void release_group(GroupRecord& group);
  void take_group(GroupRecord& group, Worker& worker);
  void require_step_in_flight(int64_t slots) const;
  void probe();
  void probe_group(GroupRecord& group, SampleRecord& lane);
  // Device.
  void push_device(Record& record, int level, int task);
  template <class Closed>
  void for_closed_gates(const DeviceItem& item, Closed&& closed) const;
  bool gates_open(const DeviceItem& item) const;
  std::optional<DeviceItem> next_device_item();
  GroupContext group_context(const GroupRecord& group, const CheckedNode& node, LedgerEntry ledger) const;
  void run_group_task(GroupRecord& group, int task, Worker& worker);
  void call_group_task(GroupRecord& group, int task);
  FoldContext fold_context(const GroupRecord& group) const;
  void reach_barrier(GroupRecord& group, int fold, Worker& worker);
  void run_whole(const GroupRecord& group, int node, Worker& worker);
  void deliver_group(GroupRecord& group, Worker& worker);
  void run_deferred(GroupRecord& group, Worker& worker);
  void begin_step(StepRecord& step);
  void run_step_task(StepRecord& step, int task, Worker& worker);
  void end_step(StepRecord& step);
  bool quarantine(StepRecord& step);
  StepContext step_context(StepRecord& step);
  // Failures.
  std::string place_text(const SampleRecord& lane) const;
  void fail(Failure failure);
  void stop_after(int64_t step);
  bool dropped(int64_t step) const { return step >= cancel_step_.load(std::memory_order_relaxed); }
  bool dropped_sample(int64_t index) const { return index >= end_sample_.load(std::memory_order_relaxed); }
  int64_t first_sample(const GroupRecord& group) const { return group.index * segment_.stream->grouping.group; }
  int64_t samples_until(int64_t step) const {  // of the segment, with all of `step`
    return (step - segment_.first_step + 1) * segment_.groups * segment_.stream->grouping.group;
  }

  CheckedPipeline& pipeline_;
  DeviceRuntime& device_;
  const Plan& plan_;
  Segment segment_;
  Stats& stats_;
  StreamOptions options_;
  std::function<void(const Work&)> spawn_;

  std::vector<std::unique_ptr<SampleRecord>> samples_;
  std::vector<std::unique_ptr<GroupRecord>> groups_;
  std::vector<std::unique_ptr<StepRecord>> steps_;
  size_t bytes_in_flight_ = 0;

  std::atomic<int64_t> next_sample_{0};
  std::atomic<int64_t> open_groups_{0};  // groups [0, open) have or had a record
  std::atomic<int> active_{0};           // pool threads inside run()
  std::mutex park_mutex_;
  std::vector<SampleRecord*> parked_;

  // Both only ever fall, under the mutex.
  std::atomic<int64_t> cancel_step_{INT64_MAX};  // the first step that doesn't end
  std::atomic<int64_t> end_sample_{INT64_MAX};   // samples and groups from here on are dropped
  std::mutex failure_mutex_;
  std::optional<Failure> failure_;

  std::mutex device_mutex_;
  std::condition_variable device_wakes_;
  std::vector<DeviceItem> device_arrivals_;  // under the mutex
  std::vector<DeviceItem> device_items_;     // likewise; only the device thread changes it
  // Only the device thread changes the following members.
  std::vector<std::atomic<int64_t>> finished_[levels];  // per level and task: records finished, in order
  uint64_t idle_since_ = 0;
  std::atomic<int64_t> completed_steps_{0};
  uint64_t last_ledger_ = 0;
};

}  // namespace flowrun
