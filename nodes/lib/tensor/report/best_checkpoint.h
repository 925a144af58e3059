// The checkpoint of the step at which an evaluation found the most.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "graph/contract/after_evaluations.h"

namespace flowrun {

/// "knn.accuracy": an evaluation node, and what it reports.
struct Metric {
  std::string node, name;

  static std::optional<Metric> parse(const std::string& text);
  std::string text() const { return node + "." + name; }
};

/// Keeps RUN/best/step-N, and nothing else there: the state that was evaluated. The manifest's facts name metric and value, so that a resumed
/// run goes on from them. What the evaluation finds before training does not count.
class BestCheckpoint {
 public:
  /// `largest`: more is better. Made in open().
  BestCheckpoint(const RunInfo& run, Metric metric, bool largest);

 private:
  void evaluated(const StepContext& context, const Findings& found);
  /// Whether it is the best so far; asked on the rank that has the findings.
  bool is_best(double value) const { return !value_ || (largest_ ? value > *value_ : value < *value_); }
  void read();

  const std::filesystem::path root_;
  const Metric metric_;
  const bool largest_;
  std::optional<double> value_;  // of the one that is there
  bool was_read_ = false, warned_ = false;
  AfterEvaluations after_;
};

}  // namespace flowrun
