// The parameters of evaluations that fit a logistic regression and choose its penalty.
#pragma once

#include <optional>
#include <vector>

#include "graph/node.h"
#include "nodes/lib/tensor/metric/logistic_math.h"
#include "nodes/lib/tensor/metric/selection.h"

namespace flowrun::eval {

struct LogisticParams {
  std::vector<double> c = capi_cs();
  Selection selection;
  int64_t max_iterations = 1000, memory = 5;
  double tolerance = 1e-12;

  void describe(auto& param) {
    param("c", c, Range{1e-12, 1e12}, "Inverse strengths of the penalty to choose from; default: CAPI's grid.");
    selection.describe(param);
    param("max_iterations", max_iterations, positive, "Iterations of one fit at most.");
    param("memory", memory, Range{1, 100}, "Steps that L-BFGS remembers.");
    param("tolerance", tolerance, not_negative, "A fit ends when no entry of the gradient is larger.");
  }
  std::optional<ParamFault> check() const {
    if (c.empty()) return ParamFault{"c", "c must have at least one number"};
    return {};
  }
  LbfgsOptions lbfgs() const { return {max_iterations, memory, tolerance}; }
};

}  // namespace flowrun::eval
