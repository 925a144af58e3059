#include "graph/measure/stats.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace flowrun {

Stats::Stats(size_t nodes, int workers, size_t trace)
    : nodes_(nodes),
      workers_(workers),
      shards_(nodes * static_cast<size_t>(workers)),
      activities_(static_cast<size_t>(workers)),
      tracks_(trace > 0 ? static_cast<size_t>(workers) : 0),
      first_tick_(ticks()),
      first_time_(std::chrono::steady_clock::now()) {
  for (TraceTrack& track : tracks_) track.capacity = trace;
}

void TraceTrack::add(const Activity& at, int node, uint64_t begin, uint64_t end) {
  if (events.size() == capacity) {
    ++lost;
    return;
  }
  events.push_back({node, at.level.load(std::memory_order_relaxed), at.index.load(std::memory_order_relaxed),
                    at.sample.load(std::memory_order_relaxed), begin, end});
}

double Stats::seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - first_time_).count(); }

double Stats::seconds_per_tick() const {
  const uint64_t passed = ticks() - first_tick_;
  return passed == 0 ? 0 : seconds() / static_cast<double>(passed);
}

Stats::Summary Stats::summary(size_t node) const {
  std::array<uint64_t, NodeShard::buckets> histogram{};
  uint64_t count = 0, failures = 0, busy = 0, cpu = 0, wait_input = 0, wait_slot = 0, wait_device = 0;
  for (int w = 0; w < workers_; ++w) {
    const NodeShard& shard = shards_[static_cast<size_t>(w) * nodes_ + node];
    count += shard.count.load(std::memory_order_relaxed);
    failures += shard.failures.load(std::memory_order_relaxed);
    busy += shard.busy.load(std::memory_order_relaxed);
    cpu += shard.cpu.load(std::memory_order_relaxed);
    wait_input += shard.wait_input.load(std::memory_order_relaxed);
    wait_slot += shard.wait_slot.load(std::memory_order_relaxed);
    wait_device += shard.wait_device.load(std::memory_order_relaxed);
    for (size_t b = 0; b < histogram.size(); ++b) histogram[b] += shard.histogram[b].load(std::memory_order_relaxed);
  }
  const double unit = seconds_per_tick();
  uint64_t calls = 0;
  for (const uint64_t n : histogram) calls += n;
  const auto percentile = [&](double share) {
    uint64_t below = 0;
    for (size_t b = 0; b < histogram.size(); ++b) {
      below += histogram[b];
      // Upper edge of the bucket: 2^(b/4 + 2) * (1 + (b%4 + 1) / 4).
      if (calls > 0 && static_cast<double>(below) >= share * static_cast<double>(calls)) {
        return std::ldexp(1.0 + (static_cast<double>(b % 4) + 1.0) / 4.0, static_cast<int>(b / 4) + 2) * unit;
      }
    }
    return 0.0;
  };
  const auto time = [&](uint64_t t) { return static_cast<double>(t) * unit; };
  return {count,           failures,        time(busy), static_cast<double>(cpu) * 1e-9, time(wait_input), time(wait_slot), time(wait_device),
          percentile(0.5), percentile(0.95)};
}

nlohmann::ordered_json Stats::json(const std::vector<std::string>& names, const std::vector<std::string>& scopes) const {
  auto out = nlohmann::ordered_json::object();
  for (size_t n = 0; n < names.size(); ++n) {
    const Summary s = summary(n);
    out[names[n]] = {{"scope", scopes[n]},
                     {"count", s.count},
                     {"failures", s.failures},
                     {"busy", s.busy},
                     {"wait_input", s.wait_input},
                     {"wait_slot", s.wait_slot},
                     {"wait_device", s.wait_device},
                     {"p50", s.p50},
                     {"p95", s.p95}};
    if (s.cpu > 0) out[names[n]]["cpu"] = s.cpu;
  }
  return out;
}

}  // namespace flowrun
