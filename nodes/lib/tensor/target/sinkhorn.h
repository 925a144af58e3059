// Assignments of pictures to prototypes in equal shares (Sinkhorn-Knopp). No graph knowledge.
#pragma once

#include <functional>
#include <vector>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::target {

struct SinkhornOptions {
  double temperature = 0.05;
  int64_t iterations = 3;
  int64_t positions =
      1;  ///< rows of a picture that are assigned apart, each with the same place of other pictures; row = picture * positions + place
};

/// Assignments of the scores [n, K] of each group, float32, or float64 if the scores are; rows sum to 1, without gradient. exp(score /
/// temperature), then `iterations` times: each prototype's column is divided by its sum, each row by its own. `sums` turns the column sums
/// [groups, positions * K] (float64) and the ends of the scores [groups, 2] of these groups into those of all groups, with which a column is
/// divided and the exponent shifted; so nothing but these is exchanged. `earlier` [m, K], if defined, are rows of steps before, equal on all
/// ranks: they count in the shares and get no assignment (SwAV's queue). Where exponents leave float32 it is
/// computed in float64. Throws std::invalid_argument, naming the numbers, where they leave that, too.
std::vector<Tensor> sinkhorn(const std::vector<Tensor>& scores_nK, const SinkhornOptions& options,
                             const std::function<Tensor(const Tensor& of_groups)>& gather, const Tensor& earlier_mK = {});

}  // namespace flowrun::target
