// The progress of a run, shown by whoever runs it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "graph/engine/engine.h"

namespace flowrun::app {

/// This one shows nothing. Any thread.
class Progress {
 public:
  Progress() = default;
  virtual ~Progress() = default;
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// After a step.
  virtual void step(const Engine& /*engine*/, const StepContext& /*context*/) {}
  /// Called while an evaluation passes a stream.
  virtual void evaluating(const std::string& /*source*/, int64_t /*done*/, int64_t /*total*/) {}
  /// Shows the progress of other work than a run.
  virtual void working(const std::string& /*what*/, int64_t /*done*/, int64_t /*total*/, const char* /*unit*/) {}
  /// Calls `write`, which writes other text to the terminal, without tearing what is shown.
  virtual void above(const std::function<void()>& write) { write(); }
  /// Shows a line of the log; `write` writes it to the terminal.
  virtual void line(const std::string& /*line*/, const std::function<void()>& write) { above(write); }
  virtual void clear() {}
};

}  // namespace flowrun::app
