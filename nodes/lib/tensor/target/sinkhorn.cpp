#include "nodes/lib/tensor/target/sinkhorn.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "nodes/lib/tensor/device/float32.h"

namespace flowrun::target {
namespace {

/// Exponents further below 0 are no normal numbers of the type.
constexpr double most_in_float = 80, most_in_double = 690;

/// [2], float64: the largest score, and minus the smallest. A group may have no rows: nothing is hidden in it.
Tensor ends_of(const Tensor& scores) {
  constexpr double none = -std::numeric_limits<double>::infinity();
  if (scores.numel() == 0) return scores.new_full({2}, none, at::kDouble);
  return at::stack({scores.max(), scores.min().neg()}).to(at::kDouble);
}

/// [pictures, positions, K], at least float32.
Tensor by_position(const Tensor& scores_nK, int64_t positions) {
  if (scores_nK.size(0) % positions != 0) {
    throw std::invalid_argument(std::to_string(scores_nK.size(0)) + " rows are no multiple of " + std::to_string(positions) + " positions");
  }
  const Tensor wide = at_least_float(scores_nK).detach();
  return wide.reshape({-1, positions, wide.size(1)});
}

/// [positions * K], float64.
Tensor column_sums(const Tensor& share) { return share.sum(0, /*keepdim=*/false, at::kDouble).flatten(); }

}  // namespace

std::vector<Tensor> sinkhorn(const std::vector<Tensor>& scores_nK, const SinkhornOptions& options, const std::function<Tensor(const Tensor&)>& gather,
                             const Tensor& earlier_mK) {
  const at::NoGradGuard no_grad;
  std::vector<Tensor> ends, shares;
  for (const Tensor& scores : scores_nK) {
    shares.push_back(by_position(scores, options.positions));
    ends.push_back(ends_of(shares.back()));
  }
  const size_t own = shares.size();
  Tensor all_G2 = gather(at::stack(ends));
  if (earlier_mK.defined()) {
    shares.push_back(by_position(earlier_mK, options.positions));
    all_G2 = at::cat({all_G2, ends_of(shares.back()).unsqueeze(0)});
  }
  const double most = all_G2.select(1, 0).max().item<double>(), least = -all_G2.select(1, 1).max().item<double>();
  const double spread = std::isfinite(most - least) ? (most - least) / options.temperature : 0;
  if (spread > most_in_double) {
    throw std::invalid_argument("scores lie between " + std::to_string(least) + " and " + std::to_string(most) + ", too far apart for temperature " +
                                std::to_string(options.temperature) + ": their exponentials can't be compared");
  }
  const at::ScalarType type = scores_nK[0].scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  for (Tensor& share : shares) {
    if (spread > most_in_float) share = share.to(at::kDouble);
    share = share.sub(most).div(options.temperature).exp();
  }
  for (int64_t iteration = 0; iteration < options.iterations; ++iteration) {
    std::vector<Tensor> sums;
    for (size_t i = 0; i < own; ++i) sums.push_back(column_sums(shares[i]));
    const Tensor all_GC = gather(at::stack(sums));
    Tensor sum_C = all_GC.select(0, 0).clone();
    for (int64_t group = 1; group < all_GC.size(0); ++group) sum_C.add_(all_GC.select(0, group));
    if (shares.size() > own) sum_C.add_(column_sums(shares.back()));
    const Tensor column = sum_C.reciprocal();
    for (Tensor& share : shares) {
      share = share.mul(column.view({1, options.positions, -1}).to(share.scalar_type()));
      share = share.div(share.sum(-1, /*keepdim=*/true));
    }
  }
  shares.resize(own);
  for (Tensor& share : shares) share = share.flatten(0, 1).to(type);
  return shares;
}

}  // namespace flowrun::target
