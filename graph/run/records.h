// Records, which carry values through a stream, and the order of their places in the run. Included by the executors.
#pragma once

#include <atomic>
#include <climits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "graph/contract/rng.h"
#include "graph/plan/lower.h"

namespace flowrun {

/// The place of a sample or a group. It follows from the index in the segment that one process runs.
struct Place {
  int64_t step;       // 1-based
  uint64_t epoch;     // 0-based
  uint64_t group;     // in the epoch, over all ranks; the first of its parts
  uint64_t position;  // of the (first) sample in the epoch
};

/// The geometry of a segment: consecutive steps of a stream, as far as this rank takes part.
struct Segment {
  const StreamPlan* stream;
  uint64_t samples;  // in the source
  int64_t first_step = 1;
  int64_t steps = 0;
  int64_t steps_per_epoch = 1;
  int64_t epoch_shift = 0;   // RunInfo::epoch_shift
  int64_t groups = 0;        // per step on this rank
  int64_t groups_world = 0;  // per step over all ranks
  int64_t first_group = 0;   // of this rank within a step

  int64_t total_groups() const { return steps * groups; }
  /// Samples in a group: all groups are full, except the last of an evaluation pass.
  int64_t images(int64_t group) const;
  int64_t total_samples() const;
  /// Index of its first group, over all steps of the run.
  int64_t groups_before() const { return (first_step - 1) * groups; }
  Place place(int64_t group) const;
  /// A pass over all samples in order, as one step; each rank takes consecutive whole groups, perhaps none.
  static Segment pass(const StreamPlan& stream, uint64_t samples, int rank = 0, int world = 1);
  static Segment training(const StreamPlan& stream, uint64_t samples, int64_t first_step, int64_t steps, const RunInfo& run);
};

/// The common part of all records: the objects in the slots, and the parent counts of tasks.
class Record {
 public:
  explicit Record(const LevelPlan& plan);
  ~Record();
  Record(const Record&) = delete;
  Record& operator=(const Record&) = delete;

  void** slots() { return slots_.data(); }
  std::vector<uint64_t> ledger;  // per task, and for deliveries per fold behind them

  /// One parent of the task has ended; returns whether it was the last. The count is then reset for the next use.
  bool arrive(const LevelPlan& plan, int task) {
    const int parents = plan.tasks[static_cast<size_t>(task)].parents;
    if (parents == 1) return true;
    if (waiting_[task].fetch_sub(1, std::memory_order_acq_rel) > 1) return false;
    waiting_[task].store(parents, std::memory_order_relaxed);
    return true;
  }
  /// If several tasks fail, the first in order counts, whichever thread is faster. Tasks before it still run (one of
  /// them may be the first), tasks after it are skipped; so every input of a task is there.
  void fail(int task, const std::string& why, bool fatal = false);
  bool failed_before(int task) const { return failed_task_.load(std::memory_order_relaxed) < task; }
  bool failed() const { return failed_before(INT_MAX); }
  /// Call when no task of the record runs.
  int failed_task() const { return failed_task_.load(std::memory_order_relaxed); }
  const std::string& error() const { return error_; }
  bool fatal() const { return fatal_; }
  /// One reader of each slot is done; the last reader releases the object.
  void done_reading(const LevelPlan& plan, const std::vector<int>& slots);
  /// Ready for the next sample, group or step.
  void renew(const LevelPlan& plan);
  size_t bytes(const LevelPlan& plan) const;
  bool filled = false;  // true after its first use: its slots hold objects

 private:
  const LevelPlan* plan_;
  std::vector<void*> slots_;
  std::unique_ptr<std::atomic<int>[]> waiting_;  // per task
  std::unique_ptr<std::atomic<int>[]> readers_;  // per slot
  std::vector<bool> counted_;                    // slots whose type has release()
  std::atomic<int> failed_task_{INT_MAX};
  std::mutex error_mutex_;
  std::string error_;
  bool fatal_ = false;
};

/// Ends a run at a step: later steps are dropped, earlier ones complete. The first failing place wins: samples before
/// it continue, so that it is found, and named, on any number of threads.
struct Failure {
  int64_t step = INT64_MAX;
  int64_t index = INT64_MAX;  // of the sample in the segment; of a group, its first; of a step, its last
  int task = 0;               // of that sample or group
  bool device = false;        // a device or step node failed: models may be half updated
  std::string message;
  std::string replay;  // options of `flowrun replay` that show it; empty: it can't be replayed
};

/// The keyed substitute for a sample that failed, the `attempt`th (1, 2, …) at its place. `stream` is the source's.
uint64_t substitute_sample(uint64_t seed, uint64_t stream, uint64_t epoch, uint64_t position, uint32_t attempt, uint64_t samples);

/// A sample that was replaced, or kept with a remark.
struct BadSample {
  uint64_t epoch, position, sample;
  std::string key, error;
  bool kept = false;
  bool training = true;  // else of an evaluation stream
};

/// The samples of a run that were replaced: each counts once, however often its place recurs.
struct BadSamples {
  std::set<uint64_t> known;
  int64_t others = 0;  // known only by number from a checkpoint, or from data before a change
  int64_t count() const { return others + static_cast<int64_t>(known.size()); }
};

struct StepRecord : Record {
  explicit StepRecord(const LevelPlan& plan, size_t nodes) : Record(plan), node_ledger(nodes) {}
  int64_t step = 0;
  int64_t groups_left = 0;
  int64_t tasks_left = 0;
  std::vector<int64_t> folds_left;  // per barrier: calls of fold() still to come
  int64_t images = 0;
  bool stop = false;                  // the last step, on request
  std::vector<uint64_t> node_ledger;  // device's executor only
  std::map<std::string, double> reports;
  std::vector<BadSample> bad;
};

struct GroupRecord : Record {
  explicit GroupRecord(const LevelPlan& plan, size_t nodes) : Record(plan), node_ledger(nodes) {}
  int64_t index = 0;  // in the segment
  int64_t images = 0;
  Place place{};
  StepRecord* step = nullptr;
  std::atomic<int64_t> samples_left{0};
  std::vector<std::atomic<uint64_t>> node_ledger;  // sample and batch nodes
  std::mutex mutex;
  std::vector<BadSample> bad;
};

/// A lane carries one sample at a time.
struct SampleRecord : Record {
  explicit SampleRecord(const LevelPlan& plan) : Record(plan), remarks(plan.tasks.size()) {}
  std::vector<std::string> remarks;  // per task: the fault in spite of which the sample is kept
  int64_t index = 0;                 // in the segment
  int64_t in_group = 0;
  Place place{};
  uint64_t sample = 0;
  uint32_t attempt = 0;
  GroupRecord* group = nullptr;
  uint64_t parked_at = 0;
  // The order of the epoch the lane is in.
  std::optional<Permutation> order;
  uint64_t order_epoch = 0;
};

/// The contribution of a value at its place to a ledger: independent of order, but no two places cancel.
inline uint64_t ledger_mix(uint64_t value, uint64_t place) {
  uint64_t x = value + 0x9E3779B97F4A7C15ull * (place + 1);
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

}  // namespace flowrun
