#include "nodes/lib/tensor/target/sinkhorn.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <limits>
#include <stdexcept>
#include <string>

namespace flowrun::target {

std::vector<Tensor> sinkhorn(const std::vector<Tensor>& scores_nK, const SinkhornOptions& options,
                             const std::function<Tensor(const Tensor&)>& gather) {
  const at::NoGradGuard no_grad;
  std::vector<Tensor> most, shares;
  for (const Tensor& scores : scores_nK) {
    if (scores.size(0) % options.positions != 0) {
      throw std::invalid_argument(std::to_string(scores.size(0)) + " rows are no multiple of " + std::to_string(options.positions) + " positions");
    }
    const Tensor wide = (scores.scalar_type() == at::kDouble ? scores : scores.to(at::kFloat)).detach();
    shares.push_back(wide.reshape({-1, options.positions, wide.size(1)}));
    // A group may have no rows: nothing is hidden in it.
    most.push_back(wide.numel() > 0 ? wide.max().to(at::kDouble).view({1})
                                    : wide.new_full({1}, -std::numeric_limits<double>::infinity(), at::kDouble));
  }
  const Tensor shift = gather(at::stack(most)).max();
  for (Tensor& share : shares) share = share.sub(shift.to(share.scalar_type())).div(options.temperature).exp();
  for (int64_t iteration = 0; iteration < options.iterations; ++iteration) {
    std::vector<Tensor> sums;
    for (const Tensor& share : shares) sums.push_back(share.sum(0, /*keepdim=*/false, at::kDouble).flatten());
    const Tensor all_GC = gather(at::stack(sums));
    Tensor sum_C = all_GC.select(0, 0).clone();
    for (int64_t group = 1; group < all_GC.size(0); ++group) sum_C.add_(all_GC.select(0, group));
    // A prototype that nothing comes near has a share of 0, not of 0 / 0.
    const Tensor column = sum_C.clamp_min(std::numeric_limits<double>::min()).reciprocal();
    for (Tensor& share : shares) {
      share = share.mul(column.view({1, options.positions, -1}).to(share.scalar_type()));
      share = share.div(share.sum(-1, /*keepdim=*/true).clamp_min(std::numeric_limits<float>::min()));
    }
  }
  for (Tensor& share : shares) share = share.flatten(0, 1);
  return shares;
}

}  // namespace flowrun::target
