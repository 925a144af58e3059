// The line that shows a run going on: rewritten on a terminal, a new one now and then in a log.
#pragma once

#include <atomic>
#include <chrono>
#include <string>

#include "graph/engine.h"

namespace flowrun::tool {

class Progress {
 public:
  /// `name`: of one run among several, whose lines follow each other even on a terminal; empty: the only one.
  explicit Progress(bool quiet, std::string name = "");
  ~Progress() { clear(); }

  /// After a step; device's thread.
  void step(const Engine& engine, const StepContext& context);
  /// While an evaluation passes a stream.
  void evaluating(const std::string& source, int64_t done, int64_t total);
  /// While something else than a run goes on; one thread at a time.
  void working(const std::string& what, int64_t done, int64_t total, const char* unit);
  /// Before something else is written to the terminal; any thread.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  bool due(bool always);
  void show(const std::string& line);

  std::string name_;
  bool quiet_, terminal_;
  std::atomic<bool> shown_{false};
  std::string loss_;
  Clock::time_point next_{}, begun_{};
  std::string what_;
  int64_t begun_at_ = 0;
  // For the rate: a moment some seconds ago.
  double mark_seconds_ = 0, rate_ = 0;
  int64_t mark_images_ = -1;
};

}  // namespace flowrun::tool
