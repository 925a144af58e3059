// A number that may change over a run: weights of losses, temperatures, decays, rates.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <optional>
#include <string>

#include "graph/node.h"

namespace flowrun::train {

/// In a pipeline a number, or { "start", "final", "epochs", "shape", "per" }. A pure function of the step.
///   linear  start + (final - start) p        p = 0 at the first step or epoch, 1 once `epochs` have passed
///   cosine  final + (start - final) (1 + cos(pi p)) / 2
///   step    start until `epochs` have passed, then final
///   ramp    start + (final - start) e^(-5 (1 - p)²), the ramp of semi-supervised methods, which ONE has
struct Value {
  std::optional<double> plain;
  double start = 0, final = 0, epochs = 0;
  std::string shape = "linear", per = "step";
  Range range;  ///< of its numbers

  Value(double constant, Range range) : plain(constant), start(constant), final(constant), range(range) {}

  void describe(auto& param) {
    param("start", start, range, "At the first step.");
    param("final", final, range, "What it becomes, and stays.");
    param("epochs", epochs, not_negative, "After how many epochs it is final; 0: at the end of the run.");
    param("shape", shape, shapes(), "How it gets there. step: at once, when the epochs have passed. ramp: as e^(-5 (1 - p)²).");
    param("per", per, pers(), "epoch: it changes between epochs only.");
  }

  bool constant() const { return plain.has_value() || start == final; }

  /// At `step`, from 1, of a run with so many steps in all and in an epoch.
  double at(int64_t step, int64_t total_steps, int64_t steps_per_epoch) const {
    if (plain) return *plain;
    const auto epoch = static_cast<double>(std::max<int64_t>(steps_per_epoch, 1));
    const double length = epochs > 0 ? epochs * epoch : static_cast<double>(total_steps);
    const auto done = static_cast<double>(step - 1);
    const double p = std::clamp((per == "epoch" ? std::floor(done / epoch) * epoch : done) / std::max(length, 1.0), 0.0, 1.0);
    if (shape == "step") return p < 1 ? start : final;
    if (shape == "ramp") return start + (final - start) * std::exp(-5 * (1 - p) * (1 - p));
    if (shape == "cosine") return final + (start - final) * (1 + std::cos(std::numbers::pi * p)) / 2;
    return start + (final - start) * p;
  }
  double at(int64_t step, const RunInfo& run) const { return at(run.schedule_step(step), run.total_steps, run.steps_per_epoch); }

  /// For a node's variant(): calls whose work can be recorded together have the same value. A value that changes from step to step
  /// can't be recorded.
  int64_t variant(int64_t step, const RunInfo& run) const {
    if (constant()) return 0;
    const int64_t at_step = run.schedule_step(step);
    if (epochs > 0 && static_cast<double>(at_step - 1) >= epochs * static_cast<double>(run.steps_per_epoch)) return 0;
    return per == "epoch" && run.steps_per_epoch > 0 ? 1 + (at_step - 1) / run.steps_per_epoch : -1;
  }

 private:
  static const Choices& shapes() {
    static const Choices choices = {"linear", "cosine", "step", "ramp"};
    return choices;
  }
  static const Choices& pers() {
    static const Choices choices = {"step", "epoch"};
    return choices;
  }
};

}  // namespace flowrun::train
