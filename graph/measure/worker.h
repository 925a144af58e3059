// The state of one thread: its shard of the statistics, its present work, and a trace if one is wanted. A thread writes
// only to its own; any thread may read at any time (values are then a moment old).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "graph/measure/stats.h"

namespace flowrun {

class Record;

/// A task that is ready to run on the pool.
struct Work {
  int level;  // sample_level or group_level
  int task;   // -1: a lane that takes its next sample
  Record* record;
};

/// The work of which a thread reads its CPU time. A reading takes longer than the smallest nodes do.
enum class CpuReadings {
  none,
  some,  ///< of some samples, groups and steps, drawn so that reading takes a hundredth of the time; the others are taken to be like them
  all,
};

/// The CPU time that the calling thread has used, in nanoseconds.
uint64_t thread_cpu_nanoseconds();

/// For measuring memory: called with the node that this thread works for from now on; -1: none. Set it while nothing
/// runs.
inline void (*on_node)(int node) = nullptr;

struct Worker {
  Worker() = default;
  /// `cpu_nanoseconds` reads CPU time; a test can give a clock that it turns itself.
  Worker(Stats& stats, int index, CpuReadings cpu_readings, uint64_t (*cpu_nanoseconds)() = thread_cpu_nanoseconds);

  NodeShard* stats = nullptr;
  Activity* activity = nullptr;
  TraceTrack* trace = nullptr;  // none: no trace
  double seconds_per_tick = 0;
  CpuReadings cpu_readings = CpuReadings::none;
  uint64_t (*cpu_nanoseconds)() = thread_cpu_nanoseconds;

  // For pool threads: ready work, the lane to continue with when there is none, and the state of the test-only delays
  // (0: none).
  std::vector<Work> stack;
  std::optional<Work> lane;
  uint64_t jitter = 0;

  /// The thread is no longer idle.
  void begin();
  /// From here on it runs `node` on a sample, group or step of that index; the time counts for this node.
  void enter(int node, int level, int64_t index, uint64_t sample);
  /// The node has ended; its time counts from begin() or the last end(): one reading of the clock per node, since that
  /// costs as much as a small one.
  void end(int node) {
    if (keeps_statistics) stats[node].ran(passed(node));
  }
  void end_fold(int node) {
    if (keeps_statistics) stats[node].took(passed(node));
  }
  /// The thread has nothing to do.
  void idle();
  uint64_t clock() const { return clock_; }
  /// For measuring: makes the ending call last `factor` times as long, working (which needs CpuReadings::all) or sleeping.
  void spin(double factor) const;
  void sleep(double factor) const;

 private:
  uint64_t passed(int node);
  void draw(int level, int64_t index);
  uint64_t clock_ = 0, cpu_clock_ = 0;
  // Whether CPU time is read now, and for how many samples it stands.
  bool reads_cpu_ = false;
  uint64_t stands_for_ = 1;
  // For CpuReadings::some: the work that was drawn last, when, how many ticks such work takes, and random bits.
  int drawn_level_ = -1;
  int64_t drawn_index_ = -1;
  uint64_t drawn_clock_ = 0, random_ = 0;
  double usual_ticks_ = 0;
};

}  // namespace flowrun
