// Sentences that tell a sweep's answer, and the text of its numbers, with as many digits as their spread justifies.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/app/sweep/answer.h"

namespace flowrun::app {

/// Of each comparison, of what pairing by seed gains, and of what to take. None for one variant.
std::vector<std::string> sentences(const SweepPlan& plan, const Answer& answer);

/// Numbers of one metric: shares of 1 in percent with one or two decimals, others with two digits of their spread.
class Numbers {
 public:
  /// `spread`: in the metric's own unit; 0: not known.
  Numbers(const std::string& metric, double spread);

  std::string text(double value) const;
  std::string with_sign(double value) const;
  /// "2.1 points of knn.accuracy", "0.012 of the loss"
  std::string of_metric(const std::string& text) const;

 private:
  std::string metric_;
  double scale_ = 1;
  int decimals_ = -1;  // below 0: four digits
};

/// "91.2 ± 0.8": mean and standard deviation; "-" for none.
std::string mean_and_deviation(const std::string& metric, const std::vector<double>& values);

}  // namespace flowrun::app
