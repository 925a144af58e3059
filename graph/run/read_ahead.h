// Requests samples from the storage before they are read, so that reads wait less. Changes no result.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "graph/measure/stats.h"
#include "graph/run/records.h"

namespace flowrun {

/// Extra threads that call the source's prefetch() for the samples up to `distance` ahead of the last one taken. They
/// begin at once, or, with `when_slow`, as soon as reading a sample takes long on average.
class ReadAhead {
 public:
  struct Options {
    int64_t distance = 64;
    bool when_slow = true;
    uint64_t seed = 0;
  };
  /// All arguments must outlive the object. `taken`: how many samples of the segment were taken so far.
  ReadAhead(const CheckedPipeline& pipeline, const Segment& segment, const Stats& stats, std::function<int64_t()> taken, Options options);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

 private:
  void loop(const std::stop_token& stop);
  void rest(const std::stop_token& stop, std::chrono::milliseconds time);
  bool is_needed();

  const CheckedNode& source_;
  const size_t source_index_;
  const Segment& segment_;
  const Stats& stats_;
  std::function<int64_t()> taken_;
  Options options_;
  std::atomic<bool> active_;
  std::atomic<int64_t> next_{0};
  uint64_t reads_before_ = 0;
  double busy_before_ = 0;
  std::mutex mutex_;
  std::condition_variable_any wakes_;  // by a request to stop
  std::vector<std::jthread> threads_;  // the last member: they end first
};

}  // namespace flowrun
