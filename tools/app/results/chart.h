// Line charts as SVG, for the report.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace flowrun::app {

/// A curve of any length in bounded memory: neighbouring points are merged when there are too many. Points must come in
/// the order of x.
class Curve {
 public:
  struct Bucket {
    double x = 0, sum = 0, low = 0, high = 0;
    int64_t count = 0, missing = 0;  // finite values; those that were not
    double mean() const { return sum / static_cast<double>(count); }
  };

  /// Without a value: it was not finite.
  void add(double x, std::optional<double> y);
  const std::vector<Bucket>& buckets() const { return buckets_; }
  int64_t count() const { return count_; }
  double mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }
  double last() const { return last_; }

 private:
  static constexpr size_t most = 400;
  std::vector<Bucket> buckets_;
  int64_t width_ = 1;  // points to a bucket
  int64_t count_ = 0;
  double sum_ = 0, last_ = 0;
};

/// A dashed line across a chart.
struct Level {
  std::string name;
  double y = 0;
  size_t colour = 0;  // that of the curve with this place
};

/// A figure with one line per curve, over steps; merged points have a band of their values. It includes its points for
/// the report's script, which shows them under the pointer. Values that span more than two powers of ten, all above zero, have a
/// logarithmic axis, and its name says so.
std::string line_chart(const std::string& title, const std::vector<std::pair<std::string, const Curve*>>& curves,
                       const std::vector<Level>& levels = {});

/// Four digits, short.
std::string short_number(double value);

}  // namespace flowrun::app
