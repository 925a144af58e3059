// Learning rate, weight decay and EMA momentum as pure functions of the step, as in the I-JEPA code.
#pragma once

#include <cstdint>

namespace flowrun::train {

/// Lengths in optimiser steps. Steps count from 1: the first update uses step 1, the last one `total`.
struct Length {
  int64_t total = 1;
  int64_t warmup = 0;

  /// floor(stretch * epochs * steps_per_epoch) and floor(warmup_epochs * steps_per_epoch). Throws
  /// std::invalid_argument if there is no step, or the warm-up is negative or longer than the run.
  static Length of(double epochs, double warmup_epochs, int64_t steps_per_epoch, double stretch = 1.0);
};

/// How a value goes from one end to the other.
enum class Shape { constant, linear, cosine };

/// Linear from `start` to `max` (reached at step `warmup`), then down to `final` at step `total`: half a cosine, a line,
/// or not at all.
struct Warmup {
  double start = 1e-4, max = 3e-3, final = 1e-4;  ///< ViT-S/16 of the paper, absolute for a global batch of 2048
  Shape shape = Shape::cosine;
  double at(int64_t step, const Length& length) const;
};

/// From `start` to `final` over the whole run; constant if they are equal. The cosine counts step / total (weight decay
/// of I-JEPA), the line (step - 1) / total (its EMA momentum).
struct Ramp {
  double start = 0.05, final = 0.05;
  Shape shape = Shape::cosine;
  double at(int64_t step, const Length& length) const;
};

}  // namespace flowrun::train
