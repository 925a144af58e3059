// How far a run is, on a terminal: lines with bars, drawn in place. Elsewhere: a line now and then.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "graph/engine/engine.h"
#include "tools/flowrun/run/limits.h"
#include "tools/flowrun/run/terminal.h"

namespace flowrun::tool {

/// Any thread.
class Progress {
 public:
  /// `name`: of one run among several, whose lines follow each other even on a terminal; empty: the only one.
  explicit Progress(bool quiet, std::string name = "") : name_(std::move(name)), quiet_(quiet), terminal_(name_.empty()) {}
  ~Progress() { clear(); }

  /// After a step.
  void step(const Engine& engine, const StepContext& context);
  /// While an evaluation passes a stream.
  void evaluating(const std::string& source, int64_t done, int64_t total);
  /// While something else than a run goes on.
  void working(const std::string& what, int64_t done, int64_t total, const char* unit);
  /// Writes something else to the terminal, which this must not tear.
  void above(const std::function<void()>& write);
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  bool due(bool always);
  void look(const Engine& engine, const StepContext& context, bool always);
  std::string bar(double share) const;
  void show(const std::string& plain, const std::function<std::vector<TerminalLine>()>& lines);

  std::mutex mutex_;
  std::string name_;
  bool quiet_;
  Terminal terminal_;
  std::string loss_;
  Clock::time_point next_{}, begun_{};
  std::string what_;
  int64_t begun_at_ = 0;
  // What the last look at the statistics found, over the time since the one before.
  nlohmann::ordered_json looked_;
  double looked_seconds_ = 0, rate_ = 0;
  int64_t looked_images_ = -1;  // -1: what came since doesn't count
  Limits limits_;
};

}  // namespace flowrun::tool
