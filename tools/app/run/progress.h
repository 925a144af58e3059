// The progress of a run. On a terminal: lines with bars, drawn in place. Elsewhere: a line every few seconds.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "graph/engine/engine.h"
#include "tools/app/run/limits.h"
#include "tools/app/run/terminal.h"

namespace flowrun::app {

/// Any thread.
class Progress {
 public:
  /// `name`: of one run among several, whose lines are not drawn in place even on a terminal; empty: the only run.
  explicit Progress(bool quiet, std::string name = "") : name_(std::move(name)), quiet_(quiet), terminal_(name_.empty()) {}
  ~Progress() { clear(); }

  /// After a step.
  void step(const Engine& engine, const StepContext& context);
  /// Called while an evaluation passes a stream.
  void evaluating(const std::string& source, int64_t done, int64_t total);
  /// Shows the progress of other work than a run.
  void working(const std::string& what, int64_t done, int64_t total, const char* unit);
  /// Writes other text to the terminal, without tearing it.
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
  // The last reading of the statistics, over the time since the one before.
  nlohmann::ordered_json looked_;
  double looked_seconds_ = 0, rate_ = 0;
  int64_t looked_images_ = -1;  // -1: steps since then don't count
  Limits limits_;
};

}  // namespace flowrun::app
