#include "tools/app/sweep/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace flowrun::app {
namespace {

/// The continued fraction of I_x(a, b), which converges fast for x < (a + 1) / (a + b + 2).
double beta_fraction(double a, double b, double x) {
  constexpr double tiny = std::numeric_limits<double>::min() / std::numeric_limits<double>::epsilon();
  const auto not_zero = [](double value) { return std::abs(value) < tiny ? tiny : value; };
  double c = 1, d = 1 / not_zero(1 - (a + b) * x / (a + 1)), f = d;
  for (int m = 1; m <= 10'000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    double last = 1;
    for (const double term : {even, odd}) {
      d = 1 / not_zero(1 + term * d);
      c = not_zero(1 + term / c);
      f *= last = c * d;
    }
    if (std::abs(last - 1) < 1e-15) break;
  }
  return f;
}

}  // namespace

double incomplete_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incomplete_beta(b, a, 1 - x);
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x));
  return front * beta_fraction(a, b, x) / a;
}

double student_two_sided(double t, double df) { return std::isinf(t) ? 0 : incomplete_beta(df / 2, 0.5, df / (df + t * t)); }

double student_critical(double p, double df) {
  double low = 0, high = 1;
  while (student_two_sided(high, df) > p) high *= 2;
  for (int i = 0; i < 200 && high - low > 1e-15 * high; ++i) {
    const double middle = low + (high - low) / 2;
    (student_two_sided(middle, df) > p ? low : high) = middle;
  }
  return low + (high - low) / 2;
}

Summary summary_of(const std::vector<double>& values) {
  Summary out;
  if (values.empty()) return out;
  const auto n = static_cast<double>(values.size());
  out.count = values.size();
  out.mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - out.mean) * (value - out.mean);
  out.low = *std::min_element(values.begin(), values.end());
  out.high = *std::max_element(values.begin(), values.end());
  out.deviation = out.low < out.high ? std::sqrt(squares / (n - 1)) : 0;  // the mean of equal values may be rounded
  return out;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

Paired paired(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> differences;
  for (size_t i = 0; i < a.size(); ++i) differences.push_back(b[i] - a[i]);
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max({largest, std::abs(a[i]), std::abs(b[i])});
  Paired out;
  out.differences = summary_of(differences);
  if (out.differences.high - out.differences.low <= 1e-12 * largest) out.differences.deviation = 0;  // 0.3 - 0.2 is not 0.2 - 0.1
  const auto n = static_cast<double>(a.size());
  out.error = out.differences.deviation / std::sqrt(n);
  out.half_width = student_critical(0.05, n - 1) * out.error;
  if (out.has_spread()) out.p = student_two_sided(out.differences.mean / out.error, n - 1);
  const double of_a = std::pow(summary_of(a).deviation, 2) / n, of_b = std::pow(summary_of(b).deviation, 2) / n;
  out.unpaired_error = std::sqrt(of_a + of_b);
  if (out.unpaired_error > 0) {
    const double df = std::pow(of_a + of_b, 2) / ((of_a * of_a + of_b * of_b) / (n - 1));
    out.unpaired_half_width = student_critical(0.05, df) * out.unpaired_error;
  }
  return out;
}

std::vector<double> holm(const std::vector<double>& p) {
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] < p[b]; });
  std::vector<double> out(p.size());
  double largest = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    largest = std::max(largest, std::min(1.0, static_cast<double>(p.size() - i) * p[order[i]]));
    out[order[i]] = largest;
  }
  return out;
}

int64_t pairs_needed(double deviation, double difference, double level) {
  if (deviation == 0) return 2;
  if (difference == 0) return most_pairs;
  for (int64_t n = 2; n < most_pairs; ++n) {
    const auto df = static_cast<double>(n - 1);
    const double root = (student_critical(level, df) + student_critical(0.4, df)) * deviation / difference;
    if (static_cast<double>(n) >= root * root) return n;
  }
  return most_pairs;
}

}  // namespace flowrun::app
