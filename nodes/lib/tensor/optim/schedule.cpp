#include "nodes/lib/tensor/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

namespace flowrun::train {
namespace {

/// 1 at fraction 0, 0 at fraction 1.
double half_cosine(double fraction) { return 0.5 * (1.0 + std::cos(std::numbers::pi * fraction)); }

double ratio(int64_t part, int64_t whole) { return static_cast<double>(part) / static_cast<double>(whole); }

}  // namespace

Length Length::of(double epochs, double warmup_epochs, int64_t steps_per_epoch, double stretch) {
  const auto per_epoch = static_cast<double>(steps_per_epoch);
  const Length length{static_cast<int64_t>(std::floor(stretch * epochs * per_epoch)), static_cast<int64_t>(std::floor(warmup_epochs * per_epoch))};
  if (length.total < 1 || length.warmup < 0 || length.warmup > length.total) {
    throw std::invalid_argument("a schedule of " + std::to_string(length.total) + " steps with a warm-up of " + std::to_string(length.warmup));
  }
  return length;
}

double Warmup::at(int64_t step, const Length& length) const {
  step = std::clamp<int64_t>(step, 0, length.total);
  if (step < length.warmup) return start + ratio(step, length.warmup) * (max - start);
  if (length.warmup == length.total || shape == Shape::constant) return max;
  const double fraction = ratio(step - length.warmup, length.total - length.warmup);
  if (shape == Shape::linear) return max + fraction * (final - max);
  return std::max(final, final + (max - final) * half_cosine(fraction));
}

double Ramp::at(int64_t step, const Length& length) const {
  if (start == final || shape == Shape::constant) return start;
  step = std::clamp<int64_t>(step, 1, length.total);
  if (shape == Shape::linear) return start + (final - start) * ratio(step - 1, length.total);
  return final + (start - final) * half_cosine(ratio(step, length.total));
}

}  // namespace flowrun::train
