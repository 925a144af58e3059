// Always-on statistics: per node counts, busy time, waiting, a histogram of service times. Each worker writes to a
// shard of its own; reading adds the shards up and may run at any time (values are then a moment old).
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace flowrun {

/// Off only in the build that tests/perf/stats compares with.
#ifdef FLOWRUN_NO_STATISTICS
inline constexpr bool keeps_statistics = false;
#else
inline constexpr bool keeps_statistics = true;
#endif

/// A clock of a few nanoseconds per reading; its unit is found by comparing with the steady clock over the run.
inline uint64_t ticks() {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

/// One worker's counts of one node. Relaxed atomics: one writer, readers at any time; they compile to plain moves.
struct NodeShard {
  static constexpr int buckets = 128;  // 4 per power of two of ticks
  std::atomic<uint64_t> count{0}, busy{0}, failures{0}, wait_input{0}, wait_slot{0}, wait_device{0};
  std::atomic<uint64_t> cpu{0};  // nanoseconds of `busy` on a core, where a run counts them
  std::array<std::atomic<uint32_t>, buckets> histogram{};

  uint64_t folded = 0;  // since the last call, only for the writer: a call's percentiles include the records that it folded

  static void add(std::atomic<uint64_t>& to, uint64_t value) { to.store(to.load(std::memory_order_relaxed) + value, std::memory_order_relaxed); }
  void ran(uint64_t elapsed);
  void took(uint64_t elapsed) { add(busy, elapsed), folded += elapsed; }
};

/// The present work of a thread. Its fields may be from slightly different moments.
struct Activity {
  std::atomic<int> node{-1};  // -1: nothing
  std::atomic<int> level{0};
  std::atomic<int64_t> index{0};    // of the sample, group or step in the segment
  std::atomic<uint64_t> sample{0};  // sample level: index in the source
  std::atomic<uint64_t> since{0};   // ticks

  void set(int new_node, int new_level, int64_t new_index, uint64_t new_sample, uint64_t now) {
    level.store(new_level, std::memory_order_relaxed);
    index.store(new_index, std::memory_order_relaxed);
    sample.store(new_sample, std::memory_order_relaxed);
    since.store(now, std::memory_order_relaxed);
    node.store(new_node, std::memory_order_relaxed);
  }
};

/// The calls of one thread, until `capacity` is reached. Read it once the run has ended.
struct TraceTrack {
  struct Event {
    int node, level;
    int64_t index;
    uint64_t sample, begin, end;  // ticks
  };
  size_t capacity = 0, lost = 0;
  std::vector<Event> events;

  void add(const Activity& at, int node, uint64_t begin, uint64_t end);
};

class Stats {
 public:
  /// `trace`: how many calls of each worker to keep; 0: none.
  Stats(size_t nodes, int workers, size_t trace = 0);

  NodeShard* worker(int index) { return shards_.data() + static_cast<size_t>(index) * nodes_; }
  Activity* activity(int worker) { return &activities_[static_cast<size_t>(worker)]; }
  /// Null without a trace.
  TraceTrack* track(int worker) { return tracks_.empty() ? nullptr : &tracks_[static_cast<size_t>(worker)]; }
  const std::vector<TraceTrack>& tracks() const { return tracks_; }
  int workers() const { return workers_; }
  double seconds_per_tick() const;
  uint64_t first_tick() const { return first_tick_; }
  /// Since the statistics began.
  double seconds_at(uint64_t tick) const { return static_cast<double>(tick - first_tick_) * seconds_per_tick(); }
  double seconds() const;

  struct Summary {
    uint64_t count, failures;
    double busy, cpu, wait_input, wait_slot, wait_device, p50, p95;  // seconds; percentiles of one call
  };
  Summary summary(size_t node) const;
  /// One object per node, in order, with the fields of Summary.
  nlohmann::ordered_json json(const std::vector<std::string>& names, const std::vector<std::string>& scopes) const;

 private:
  size_t nodes_;
  int workers_;
  std::vector<NodeShard> shards_;
  std::vector<Activity> activities_;  // per worker
  std::vector<TraceTrack> tracks_;
  uint64_t first_tick_;
  std::chrono::steady_clock::time_point first_time_;
};

inline void NodeShard::ran(uint64_t elapsed) {
  add(count, 1);
  add(busy, elapsed);
  elapsed += folded;
  folded = 0;
  const int log = elapsed < 4 ? 2 : 63 - __builtin_clzll(elapsed);
  const int quarter = static_cast<int>(elapsed >> (log - 2)) & 3;
  auto& bucket = histogram[static_cast<size_t>(std::min((log - 2) * 4 + quarter, buckets - 1))];
  bucket.store(bucket.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace flowrun
