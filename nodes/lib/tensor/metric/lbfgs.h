// Limited-memory BFGS for smooth functions of one vector. No graph knowledge.
#pragma once

#include <cstdint>
#include <functional>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::eval {

struct LbfgsOptions {
  int64_t max_iterations = 1000;
  int64_t memory = 5;
  double tolerance = 1e-12;  ///< of the gradient's largest entry
};

struct LbfgsResult {
  Tensor x;
  double value = 0;
  int64_t iterations = 0;
  bool converged = false;  ///< the gradient is small, or the value can't fall further in float64
};

/// Returns f(x) and sets the gradient.
using Differentiable = std::function<double(const Tensor& x, Tensor& gradient)>;

/// Two-loop recursion with initial scaling s'y / y'y (Nocedal and Wright, algorithms 7.4 and 7.5). The step satisfies
/// the weak Wolfe conditions (1e-4, 0.9), found by doubling and bisection (Lewis and Overton 2013), so every pair has
/// positive curvature. Deterministic. `start` is a float64 vector.
LbfgsResult minimise(const Differentiable& f, const Tensor& start, const LbfgsOptions& options);

}  // namespace flowrun::eval
