#include "nodes/lib/tensor/metric/lbfgs.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <vector>

namespace flowrun::eval {
namespace {

double dot(const Tensor& a, const Tensor& b) { return a.dot(b).item<double>(); }

struct Pair {
  Tensor s, y;  // differences of x and of the gradient
  double rho;   // 1 / s'y
};

/// - H gradient, H the approximate inverse Hessian.
Tensor direction(const std::deque<Pair>& pairs, const Tensor& gradient) {
  Tensor q = gradient.neg();
  std::vector<double> alphas;
  for (auto pair = pairs.rbegin(); pair != pairs.rend(); ++pair) {
    alphas.push_back(pair->rho * dot(pair->s, q));
    q = q.sub(pair->y, alphas.back());
  }
  if (!pairs.empty()) q = q.div(pairs.back().rho * dot(pairs.back().y, pairs.back().y));
  for (const Pair& pair : pairs) {
    q = q.add(pair.s, alphas.back() - pair.rho * dot(pair.y, q));
    alphas.pop_back();
  }
  return q;
}

struct Point {
  Tensor x, gradient;
  double value;
};

/// A point along `d` that meets the weak Wolfe conditions; false when float64 has none left.
bool search(const Differentiable& f, const Point& from, const Tensor& d, double step, Point& to) {
  const double slope = dot(from.gradient, d);
  if (!(slope < 0)) return false;
  double low = 0, high = std::numeric_limits<double>::infinity();
  for (int tries = 0; tries < 60; ++tries) {
    to.x = from.x.add(d, step);
    to.value = f(to.x, to.gradient);
    if (!(to.value <= from.value + 1e-4 * step * slope)) {  // also when it is not a number
      high = step;
    } else if (dot(to.gradient, d) < 0.9 * slope) {
      low = step;
    } else {
      return true;
    }
    step = std::isinf(high) ? 2 * low : 0.5 * (low + high);
  }
  return false;
}

}  // namespace

LbfgsResult minimise(const Differentiable& f, const Tensor& start, const LbfgsOptions& options) {
  // A decrease below this is rounding (scipy's default for L-BFGS-B in scikit-learn).
  constexpr double least_decrease = 64 * std::numeric_limits<double>::epsilon();
  Point point{start, {}, 0}, next;
  point.value = f(point.x, point.gradient);
  std::deque<Pair> pairs;
  LbfgsResult result;
  for (; result.iterations < options.max_iterations; ++result.iterations) {
    const double largest = point.gradient.abs().max().item<double>();
    result.converged = largest <= options.tolerance;
    if (result.converged) break;
    const Tensor d = direction(pairs, point.gradient);
    // Without a curvature yet, a step of length one at most.
    const double step = pairs.empty() ? std::min(1.0, 1.0 / point.gradient.norm().item<double>()) : 1.0;
    result.converged = !search(f, point, d, step, next);
    if (result.converged) break;
    const Tensor s = next.x.sub(point.x), y = next.gradient.sub(point.gradient);
    const double curvature = dot(s, y);
    if (curvature > 0) pairs.push_back({s, y, 1.0 / curvature});
    if (static_cast<int64_t>(pairs.size()) > options.memory) pairs.pop_front();
    const double decrease = point.value - next.value, scale = std::max({std::abs(point.value), std::abs(next.value), 1.0});
    std::swap(point, next);
    next = {};
    if ((result.converged = decrease <= least_decrease * scale)) {
      ++result.iterations;
      break;
    }
  }
  result.x = point.x, result.value = point.value;
  return result;
}

}  // namespace flowrun::eval
