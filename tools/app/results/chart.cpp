#include "tools/app/results/chart.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "graph/text/json_text.h"
#include "tools/app/escape.h"

namespace flowrun::app {
namespace {

constexpr double width = 620, height = 244, left = 58, right = 12, top = 18, bottom = 40;
constexpr int colours = 8;  // classes c0 … c7 of the report's style

std::string fixed(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

struct Axis {
  double from = 0, to = 1, step = 1;
  bool logarithmic = false;  // then these are powers of ten

  /// About that many round numbers.
  Axis(double low, double high, int ticks, bool whole) {
    // Values that differ only in their last digits count as one value: no ticks fit between them.
    if (!(high - low > 1e-9 * std::max(std::abs(low), std::abs(high)))) {
      const double around = low == 0 ? 1 : std::abs(low) * 0.1;
      low -= around, high += around;
    }
    const double rough = (high - low) / ticks, power = std::pow(10, std::floor(std::log10(rough)));
    step = power * (rough / power < 1.5 ? 1 : rough / power < 3.5 ? 2 : rough / power < 7.5 ? 5 : 10);
    if (whole) step = std::max(1.0, step);
    from = low, to = high;
  }
  /// Counted by whole numbers: sums of steps need not grow.
  std::vector<double> ticks() const {
    constexpr double most = 50;
    std::vector<double> out;
    const double first = std::ceil(from / step - 1e-9), last = std::min(std::floor(to / step + 1e-6), first + most);
    if (!std::isfinite(first) || !std::isfinite(last)) return out;
    for (int i = 0; i <= static_cast<int>(last - first); ++i) out.push_back((first + i) * step);
    return out;
  }
  double part(double value) const { return ((logarithmic ? std::log10(value) : value) - from) / (to - from); }
  /// The value at a tick.
  double value(double tick) const { return logarithmic ? std::pow(10, tick) : std::abs(tick) < step * 1e-6 ? 0 : tick; }
};

/// Of values from `low` to `high`.
Axis y_axis(double low, double high) {
  const bool logarithmic = low > 0 && high > 100 * low;
  if (logarithmic) low = std::log10(low), high = std::log10(high);
  const double rim = 0.04 * (high - low);
  Axis out(low - rim, high + rim, 5, logarithmic);
  out.logarithmic = logarithmic;
  return out;
}

double x_at(const Axis& axis, double x) { return left + axis.part(x) * (width - left - right); }
double y_at(const Axis& axis, double y) { return height - bottom - axis.part(y) * (height - top - bottom); }

void axes(std::ostream& out, const Axis& x, const Axis& y) {
  for (const double at : y.ticks()) {
    const std::string level = fixed(y_at(y, y.value(at)));
    out << "<line class=\"grid\" x1=\"" << left << "\" x2=\"" << width - right << "\" y1=\"" << level << "\" y2=\"" << level << "\"/><text x=\""
        << left - 6 << "\" y=\"" << fixed(y_at(y, y.value(at)) + 3.5) << "\" text-anchor=\"end\">" << short_number(y.value(at)) << "</text>";
  }
  for (const double at : x.ticks()) {
    out << "<text x=\"" << fixed(x_at(x, at)) << "\" y=\"" << height - bottom + 14 << "\" text-anchor=\"middle\">" << short_number(x.value(at))
        << "</text>";
  }
  out << "<line class=\"axis\" x1=\"" << left << "\" x2=\"" << width - right << "\" y1=\"" << height - bottom << "\" y2=\"" << height - bottom
      << "\"/>\n<text x=\"" << (left + width - right) / 2 << "\" y=\"" << height - 8 << "\" text-anchor=\"middle\">step</text>";
}

/// The line has a gap where values are missing.
void curve(std::ostream& out, const Curve& curve, int colour, const Axis& x, const Axis& y) {
  std::string line, back, band;
  bool pen = false, wide = false;
  size_t alone = 0;
  const auto end_stretch = [&] {
    if (wide) out << "<path class=\"band c" << colour << "\" d=\"" << band << back << "Z\"/>";
    band.clear(), back.clear();
    pen = wide = false;
  };
  for (const Curve::Bucket& b : curve.buckets()) {
    if (b.count == 0) {
      end_stretch();
      continue;
    }
    const std::string at = fixed(x_at(x, b.x)), level = fixed(y_at(y, b.mean()));
    line += (pen ? " L" : " M") + at + "," + level;
    band += (pen ? " L" : " M") + at + "," + fixed(y_at(y, b.high));
    back = " L" + at + "," + fixed(y_at(y, b.low)) + back;
    wide |= b.high > b.low;
    pen = true;
    ++alone;
  }
  end_stretch();
  out << "<path class=\"line c" << colour << "\" d=\"" << line << "\"/>";
  if (alone > 40) return;
  for (const Curve::Bucket& b : curve.buckets()) {
    if (b.count > 0)
      out << "<circle class=\"c" << colour << "\" cx=\"" << fixed(x_at(x, b.x)) << "\" cy=\"" << fixed(y_at(y, b.mean())) << "\" r=\"2.4\"/>";
  }
}

/// [[x, value, place of x, place of y], …] for the script.
std::string points(const Curve& curve, const Axis& x, const Axis& y) {
  std::string out = "[";
  for (const Curve::Bucket& b : curve.buckets()) {
    if (b.count == 0) continue;
    char text[128];
    std::snprintf(text, sizeof text, "%s[%.9g,%.5g,%.1f,%.1f]", out.size() > 1 ? "," : "", b.x, b.mean(), x_at(x, b.x), y_at(y, b.mean()));
    out += text;
  }
  return out + "]";
}

}  // namespace

void Curve::add(double x, std::optional<double> y) {
  const bool finite = y && std::isfinite(*y);
  if (buckets_.empty() || buckets_.back().count + buckets_.back().missing >= width_) {
    if (buckets_.size() == most) {
      for (size_t i = 0; i < most / 2; ++i) {
        const Bucket &a = buckets_[2 * i], &b = buckets_[2 * i + 1];
        Bucket both{b.x, a.sum + b.sum, std::min(a.low, b.low), std::max(a.high, b.high), a.count + b.count, a.missing + b.missing};
        if (a.count == 0) both.low = b.low, both.high = b.high;
        if (b.count == 0) both.low = a.low, both.high = a.high;
        buckets_[i] = both;
      }
      buckets_.resize(most / 2);
      width_ *= 2;
    }
    buckets_.emplace_back();
  }
  Bucket& bucket = buckets_.back();
  bucket.x = x;
  if (!finite) return void(++bucket.missing);
  bucket.low = bucket.count == 0 ? *y : std::min(bucket.low, *y);
  bucket.high = bucket.count == 0 ? *y : std::max(bucket.high, *y);
  bucket.sum += *y;
  ++bucket.count;
  ++count_;
  sum_ += *y;
  last_ = *y;
}

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, std::abs(value) >= 1000 && std::abs(value) < 1e9 ? "%.0f" : "%.4g", value);
  return text;
}

std::string line_chart(const std::string& title, const std::vector<std::pair<std::string, const Curve*>>& curves, const std::vector<Level>& levels) {
  double x0 = INFINITY, x1 = -INFINITY, y0 = INFINITY, y1 = -INFINITY;
  for (const auto& [name, c] : curves) {
    for (const Curve::Bucket& b : c->buckets()) {
      x0 = std::min(x0, b.x), x1 = std::max(x1, b.x);
      if (b.count > 0) y0 = std::min(y0, b.low), y1 = std::max(y1, b.high);
    }
  }
  for (const Level& level : levels) y0 = std::min(y0, level.y), y1 = std::max(y1, level.y);
  const bool empty = !(y1 >= y0);
  const Axis x(empty ? 0 : x0, empty ? 1 : x1, 6, true), y = empty ? Axis(0, 1, 5, false) : y_axis(y0, y1);
  std::ostringstream out;
  out << "<figure><figcaption>" << xml_text(title) << (y.logarithmic ? " <span class=\"quiet\">(logarithmic)</span>" : "") << "</figcaption>";
  if (empty) {
    out << "<p class=\"quiet\">no value that is finite</p></figure>\n";
    return out.str();
  }
  std::string data;
  for (size_t i = 0; i < curves.size(); ++i) {
    data +=
        (i > 0 ? ",{\"name\":" : "{\"name\":") + json_text(nlohmann::json(curves[i].first)) + ",\"points\":" + points(*curves[i].second, x, y) + "}";
  }
  out << "<svg class=\"chart\" viewBox=\"0 0 " << width << ' ' << height << "\" data-curves=\"" << xml_text("[" + data + "]") << "\">";
  axes(out, x, y);
  for (const Level& level : levels) {
    const std::string at = fixed(y_at(y, level.y));
    out << "<line class=\"level c" << level.colour % colours << "\" x1=\"" << left << "\" x2=\"" << width - right << "\" y1=\"" << at << "\" y2=\""
        << at << "\"><title>" << xml_text(level.name) << "</title></line>";
  }
  for (size_t i = 0; i < curves.size(); ++i) curve(out, *curves[i].second, static_cast<int>(i) % colours, x, y);
  out << "</svg>";
  if (curves.size() > 1 || !levels.empty()) {
    out << "<p class=\"key\">";
    for (size_t i = 0; i < curves.size(); ++i) out << "<span class=\"c" << i % colours << "\">&#9632;</span> " << xml_text(curves[i].first) << " ";
    for (const Level& level : levels) out << "<span class=\"c" << level.colour % colours << "\">- -</span> " << xml_text(level.name) << " ";
    out << "</p>";
  }
  out << "</figure>\n";
  return out.str();
}

}  // namespace flowrun::app
