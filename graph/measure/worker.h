// What one thread keeps while it runs work: its own part of the statistics, what it does now, and a trace if one is
// asked for. A thread writes only to its own; any thread may read at any time (values are then a moment old).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "graph/measure/stats.h"

namespace flowrun {

class Record;

/// Something that is ready to run on the pool.
struct Work {
  int level;  // sample_level or group_level
  int task;   // -1: a lane that takes its next sample
  Record* record;
};

/// For measuring memory: told which node this thread works for from now on; -1: for none. Set while nothing runs.
inline void (*on_node)(int node) = nullptr;

struct Worker {
  Worker() = default;
  Worker(Stats& stats, int index, bool counts_cpu);

  NodeShard* stats = nullptr;
  Activity* activity = nullptr;
  TraceTrack* trace = nullptr;  // none: no trace
  double seconds_per_tick = 0;
  bool counts_cpu = false;  // the thread's CPU time too, which costs more to read than most nodes take

  // The pool's: ready work, the lane to go on with when there is none, and the state of the test-only delays (0: none).
  std::vector<Work> stack;
  std::optional<Work> lane;
  uint64_t jitter = 0;

  /// The thread leaves off idling.
  void begin();
  /// From here on it runs `node` on a sample, group or step of that index. What follows is the time of this node.
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
  /// For measuring: makes the call that is about to end last `factor` times as long, at work (which takes counts_cpu) or
  /// asleep.
  void spin(double factor) const;
  void sleep(double factor) const;

 private:
  uint64_t passed(int node);
  uint64_t clock_ = 0, cpu_clock_ = 0;
};

}  // namespace flowrun
