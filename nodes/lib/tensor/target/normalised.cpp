#include "nodes/lib/tensor/target/normalised.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/var_mean.h>
#include <stdexcept>
#include <string>

#include "nodes/lib/tensor/device/float32.h"
#include "nodes/lib/tensor/kernels/kernels.h"
#include "nodes/lib/tensor/model/rows.h"

namespace flowrun::mim {
namespace {

/// [.., T, D] -> [.., O]
Tensor merged(const Tensor& stacked, const TargetOptions& options) {
  if (options.merge == Merge::concat) return stacked.flatten(-2);
  const Tensor one = options.merge == Merge::mean ? stacked.mean(-2) : stacked.sum(-2);
  return options.zscore_merged ? z_score(one, {.eps = options.zscore.eps, .unbiased = options.zscore.unbiased}) : one;
}

}  // namespace

Tensor z_score(const Tensor& x, const ZScore& options) {
  Tensor wide = at_least_float(x);
  if (options.over == Over::none) return wide;
  if (options.over == Over::features && !options.unbiased) return at::layer_norm(wide, {wide.size(-1)}, {}, {}, options.eps);
  const int64_t axis = options.over == Over::features ? -1 : -2;
  const auto [variance, mean] = at::var_mean(wide, at::OptionalIntArrayRef{axis}, options.unbiased, /*keepdim=*/true);
  return wide.sub(mean).mul(variance.add(options.eps).rsqrt());
}

Tensor at_patches(const Tensor& x_BND, const Tensor& index) {
  if (index.dim() != 1) return model::gather_repeated(x_BND, index);
  return model::flat_rows(x_BND, index).unsqueeze(0).unsqueeze(0);
}

Tensor hidden_targets(const std::vector<Tensor>& taps_BND, const Tensor& index, const TargetOptions& options) {
  if (taps_BND.empty()) throw std::invalid_argument("no hidden block to make targets of");
  const at::NoGradGuard no_grad;
  const int64_t images = taps_BND[0].size(0), all = taps_BND[0].size(1);
  if (!index.defined()) return hidden_targets(taps_BND, at::arange(all, taps_BND[0].options().dtype(at::kLong)).expand({images, 1, all}), options);
  if (options.zscore.over == Over::features && options.merge == Merge::concat && !options.pooled && index.dim() == 3 && images > 0 &&
      index.size(0) % images == 0) {
    model::check_indices(index, all);
    auto shape = index.sizes().vec();
    shape.push_back(-1);
    return kernels::standardised_rows(taps_BND, index.reshape({images, -1}), options.zscore.eps, options.zscore.unbiased).view(shape);
  }
  const bool gather_first = options.zscore.over != Over::tokens && !options.pooled;
  std::vector<Tensor> rows;
  for (const Tensor& tap_BND : taps_BND) {
    // Gathering first is cheaper than standardising whole images, and gives the same where tokens stand alone.
    rows.push_back(gather_first ? at_patches(tap_BND, index) : z_score(tap_BND, options.zscore));
  }
  if (gather_first) return merged(z_score(at::stack(rows, -2), options.zscore), options);
  const Tensor all_BNO = merged(at::stack(rows, -2), options);
  if (!options.pooled) return at_patches(all_BNO, index);
  const int64_t repeats = index.size(0) / all_BNO.size(0);
  return all_BNO.mean(1, /*keepdim=*/true).unsqueeze(1).repeat_interleave(repeats, 0);
}

Tensor pixel_targets(const Tensor& images_BCHW, const Tensor& index, int64_t patch, bool normalise, const ZScore& options) {
  const at::NoGradGuard no_grad;
  const int64_t images = images_BCHW.size(0), channels = images_BCHW.size(1), rows = images_BCHW.size(2) / patch,
                columns = images_BCHW.size(3) / patch;
  const Tensor pixels_BNF = images_BCHW.reshape({images, channels, rows, patch, columns, patch})
                                .permute({0, 2, 4, 3, 5, 1})
                                .reshape({images, rows * columns, patch * patch * channels});
  const Tensor chosen = at_patches(pixels_BNF, index);
  return normalise ? z_score(chosen, options) : at_least_float(chosen);
}

}  // namespace flowrun::mim
