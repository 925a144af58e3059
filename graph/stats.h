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

/// A clock of a few nanoseconds per reading; its unit is found by comparing with the steady clock over the run.
inline uint64_t ticks() {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

/// What one worker knows of one node. Relaxed atomics: one writer, readers at any time; they compile to plain moves.
struct NodeShard {
  static constexpr int buckets = 128;  // 4 per power of two of ticks
  std::atomic<uint64_t> count{0}, busy{0}, failures{0}, wait_input{0}, wait_slot{0}, wait_device{0};
  std::atomic<uint64_t> cpu{0};  // nanoseconds of `busy` on a core, where a run counts them
  std::array<std::atomic<uint32_t>, buckets> histogram{};

  static void add(std::atomic<uint64_t>& to, uint64_t value) { to.store(to.load(std::memory_order_relaxed) + value, std::memory_order_relaxed); }
  void ran(uint64_t elapsed);
};

class Stats {
 public:
  Stats(size_t nodes, int workers);

  NodeShard* worker(int index) { return shards_.data() + static_cast<size_t>(index) * nodes_; }
  double seconds_per_tick() const;
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
  uint64_t first_tick_;
  std::chrono::steady_clock::time_point first_time_;
};

inline void NodeShard::ran(uint64_t elapsed) {
  add(count, 1);
  add(busy, elapsed);
  const int log = elapsed < 4 ? 2 : 63 - __builtin_clzll(elapsed);
  const int quarter = static_cast<int>(elapsed >> (log - 2)) & 3;
  auto& bucket = histogram[static_cast<size_t>(std::min((log - 2) * 4 + quarter, buckets - 1))];
  bucket.store(bucket.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace flowrun
