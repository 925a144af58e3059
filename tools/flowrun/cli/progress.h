// The progress of a run. On a terminal: lines with bars, drawn in place. Elsewhere: a line every few seconds.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "tools/app/run/limits.h"
#include "tools/app/run/progress.h"
#include "tools/flowrun/cli/terminal.h"

namespace flowrun::cli {

/// On standard error.
class TerminalProgress : public app::Progress {
 public:
  /// `name`: of one run among several, whose lines are not drawn in place even on a terminal; empty: the only run.
  explicit TerminalProgress(bool quiet, std::string name = "") : name_(std::move(name)), quiet_(quiet), terminal_(name_.empty()) {}
  ~TerminalProgress() override { TerminalProgress::clear(); }

  void step(const Engine& engine, const StepContext& context) override;
  void evaluating(const std::string& source, int64_t done, int64_t total) override;
  void working(const std::string& what, int64_t done, int64_t total, const char* unit) override;
  void above(const std::function<void()>& write) override;
  void clear() override;

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
  app::Limits limits_;
};

}  // namespace flowrun::cli
