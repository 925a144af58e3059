#include "graph/run/read_ahead.h"

#include <algorithm>

namespace flowrun {
namespace {

constexpr int thread_count = 4;  // they wait for the storage, not for a core
constexpr auto pause = std::chrono::milliseconds(2);
constexpr uint64_t enough_reads = 32;
constexpr double slow_read = 300e-6;  // seconds; a file in memory takes a tenth of it

}  // namespace

ReadAhead::ReadAhead(const CheckedPipeline& pipeline, const Segment& segment, const Stats& stats, std::function<int64_t()> taken, Options options)
    : source_(pipeline.nodes[static_cast<size_t>(segment.stream->source)]),
      source_index_(static_cast<size_t>(segment.stream->source)),
      segment_(segment),
      stats_(stats),
      taken_(std::move(taken)),
      options_(options),
      active_(!options.when_slow) {
  if (!source_.type->prefetches || options_.distance == 0) return;
  const Stats::Summary before = stats_.summary(source_index_);
  reads_before_ = before.count, busy_before_ = before.busy;
  for (int i = 0; i < thread_count; ++i) {
    threads_.emplace_back([this, i](const std::stop_token& stop) {
      // One watches; the others sleep until it has decided.
      while (!stop.stop_requested() && !active_.load() && (i > 0 || !is_needed())) rest(stop, pause * 5);
      active_.store(true);
      loop(stop);
    });
  }
}

/// Stops all threads before it joins the first.
ReadAhead::~ReadAhead() {
  for (std::jthread& thread : threads_) thread.request_stop();
}

void ReadAhead::rest(const std::stop_token& stop, std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  wakes_.wait_for(lock, stop, time, [] { return false; });
}

/// Whether the last reads were slow, and more than a few: reads that lost their core to other work don't count.
bool ReadAhead::is_needed() {
  const Stats::Summary now = stats_.summary(source_index_);
  const uint64_t reads = now.count - reads_before_;
  if (reads < enough_reads) return false;
  const double mean = (now.busy - busy_before_) / static_cast<double>(reads);
  reads_before_ = now.count, busy_before_ = now.busy;
  return mean > slow_read && now.p95 > slow_read;
}

void ReadAhead::loop(const std::stop_token& stop) {
  std::optional<Permutation> order;
  uint64_t order_epoch = 0;
  const int64_t group = segment_.stream->grouping.group;
  while (!stop.stop_requested()) {
    const int64_t taken = taken_(), last = std::min(taken + options_.distance, segment_.total_samples());
    // Samples taken meanwhile need no request.
    int64_t index = next_.load();
    while (index < last && !next_.compare_exchange_weak(index, std::max(index, taken) + 1)) {
    }
    index = std::max(index, taken);
    if (index >= last) {
      if (taken >= segment_.total_samples()) return;
      rest(stop, pause);
      continue;
    }
    const Place place = segment_.place(index / group);
    uint64_t sample = place.position + static_cast<uint64_t>(index % group);
    if (segment_.stream->training) {
      if (!order || order_epoch != place.epoch) order.emplace(segment_.samples, options_.seed, source_.stream, place.epoch);
      order_epoch = place.epoch;
      sample = (*order)(sample % segment_.samples);  // EngineOptions::wraps
    }
    try {
      source_.node->prefetch(sample);
    } catch (const std::exception&) {
      // The read itself will report the fault.
    }
  }
}

}  // namespace flowrun
