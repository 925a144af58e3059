// Statistics of a sweep: means over seeds, paired t-tests, Holm's correction, the number of seeds that a test needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace flowrun::app {

/// I_x(a, b), the regularised incomplete beta function, for a, b > 0 and x in 0..1; relative error about 1e-13.
/// By its continued fraction (DLMF 8.17.22), evaluated as Lentz does.
double incomplete_beta(double a, double b, double x);

/// The probability that |T| of Student's distribution with `df` degrees of freedom is at least |t|.
double student_two_sided(double t, double df);

/// The t that |T| exceeds with probability `p`, 0 < p < 1: 12.706… for p = 0.05, df = 1.
double student_critical(double p, double df);

struct Summary {
  size_t count = 0;
  double mean = 0;
  double deviation = 0;  // of the sample, over count - 1; 0 for one value
  double low = 0, high = 0;
};
Summary summary_of(const std::vector<double>& values);

/// Of one value or more.
double median(std::vector<double> values);

/// Differences of pairs of values, b[i] - a[i].
struct Paired {
  Summary differences;
  double error = 0;       // standard error of the mean difference
  double half_width = 0;  // of its 95 % interval
  double p = 1;           // of the two-sided paired t-test
  // The same if the pairs are taken apart (Welch).
  double unpaired_error = 0, unpaired_half_width = 0;
  /// Whether differences vary, but for rounding. If they don't, error and half_width are 0, and there is no test: p is 1.
  bool has_spread() const { return error > 0; }
  /// How many times narrower the interval is by pairing; 0: not known, because one of them has no width.
  double narrower() const { return half_width > 0 && unpaired_half_width > 0 ? unpaired_half_width / half_width : 0; }
};
/// For two pairs or more.
Paired paired(const std::vector<double>& a, const std::vector<double>& b);

/// Holm's step-down correction: p-values for several tests, in the order given (Holm 1979).
std::vector<double> holm(const std::vector<double>& p);

/// Pairs that a two-sided test at `level` needs to see `difference` with power 0.8 when differences have the standard deviation
/// `deviation`: the smallest n that is at least ((t(level) + t(0.4)) deviation / difference)² with n - 1 degrees of freedom, within one
/// of the exact number (noncentral t). At least 2 and at most `most_pairs`, which means: that many, or more.
inline constexpr int64_t most_pairs = 1000;
int64_t pairs_needed(double deviation, double difference, double level);

}  // namespace flowrun::app
