// The verdict on a run, in words, and its evaluations, each by its main value.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/app/results/run_facts.h"

namespace flowrun::app {

/// One evaluation, by the value that says most.
struct Told {
  std::string node, value;      // "knn", "accuracy"
  std::optional<double> start;  // before training
  std::optional<double> last;
  std::optional<double> best;  // after a step
  int64_t best_step = 0, last_step = 0;
  std::optional<double> pixels;  // an evaluation of the same type on inputs that no model made
  std::string pixels_node;

  /// Shown as a percentage.
  bool is_share() const;
  /// Whether `a` is better than `b`; smaller is, of losses and the like.
  bool is_better(double a, double b) const;
};

/// The evaluations of a run. Those of bare inputs are left out: they are `pixels` of the others of their type. `value` is the accuracy or mIoU
/// where there is one, else the first number that is reported.
std::vector<Told> told_evaluations(const RunFacts& facts);

enum class Mood { good, doubtful, bad };
const char* mood_name(Mood mood);  // "good", "doubtful", "bad"

/// A sentence of the verdict.
struct Verdict {
  Mood mood;
  std::string text;
};

/// Sentences on each evaluation (against its value before training, and against bare pixels), on the health of features and on the loss.
std::vector<Verdict> verdict(const RunFacts& facts, const std::vector<Told>& evaluations);

/// "96.3 %", or the number.
std::string told_value(const Told& of, double value);

}  // namespace flowrun::app
