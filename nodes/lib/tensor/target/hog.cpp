#include "nodes/lib/tensor/target/hog.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/atan2.h>
#include <ATen/ops/hypot.h>
#include <ATen/ops/reflection_pad2d.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <numbers>

#include "nodes/lib/tensor/target/normalised.h"

namespace flowrun::mim {
namespace {

/// x[i + 1] - x[i - 1] along an axis; 0 at both ends.
Tensor central_difference(const Tensor& x, int64_t axis) {
  const int64_t size = x.size(axis);
  Tensor out = at::zeros_like(x);
  if (size > 2) out.narrow(axis, 1, size - 2).copy_(x.narrow(axis, 2, size - 2).sub(x.narrow(axis, 0, size - 2)));
  return out;
}

/// 1 2 1 along an axis, over three neighbours; the axis loses two.
Tensor smoothed(const Tensor& x, int64_t axis) {
  const int64_t size = x.size(axis) - 2;
  return x.narrow(axis, 0, size).add(x.narrow(axis, 1, size), 2).add_(x.narrow(axis, 2, size));
}

/// x[i] - x[i + 2] along an axis, which loses two.
Tensor difference(const Tensor& x, int64_t axis) {
  const int64_t size = x.size(axis) - 2;
  return x.narrow(axis, 0, size).sub(x.narrow(axis, 2, size));
}

/// Of each pixel: how long its gradient is, and the bin of its direction.
struct Gradients {
  Tensor length, bin;
};

Gradients scikit_gradients(const Tensor& images_BCHW, int64_t bins) {
  const Tensor rows = central_difference(images_BCHW, 2), columns = central_difference(images_BCHW, 3);
  // Half a turn is [0, bins); rounding may reach bins itself.
  const Tensor direction = at::atan2(rows, columns).mul(static_cast<double>(bins) / std::numbers::pi);
  const Tensor bin = direction.remainder(static_cast<double>(bins)).floor().clamp(0, static_cast<double>(bins - 1)).to(at::kLong);
  return {at::hypot(columns, rows), bin};
}

Gradients maskfeat_gradients(const Tensor& images_BCHW, int64_t bins) {
  const Tensor padded = at::reflection_pad2d(images_BCHW, {1, 1, 1, 1});
  const Tensor gx = difference(smoothed(padded, 2), 3), gy = smoothed(difference(padded, 2), 3);
  const Tensor turn = at::atan2(gx, gy).div_(std::numbers::pi).mul_(static_cast<double>(bins));  // [-bins, bins]
  return {gx.square().add_(gy.square()).sqrt_(), turn.floor_().to(at::kLong).remainder(bins)};
}

}  // namespace

Tensor hog_cells(const Tensor& images_BCHW, const Hog& options) {
  const at::NoGradGuard no_grad;
  const bool scikit = options.kind == HogOperator::scikit;
  const auto [length, bin] = scikit ? scikit_gradients(images_BCHW, options.bins) : maskfeat_gradients(images_BCHW, options.bins);
  const int64_t images = images_BCHW.size(0), channels = images_BCHW.size(1), height = images_BCHW.size(2), width = images_BCHW.size(3);
  const Tensor split =
      at::zeros({images, channels, options.bins, height, width}, length.options()).scatter_(2, bin.unsqueeze(2), length.unsqueeze(2));
  const int64_t cell = options.cell;
  const Tensor pixels = split.view({images, channels, options.bins, height / cell, cell, width / cell, cell});
  if (!scikit) {
    const Tensor sums = pixels.sum(at::IntArrayRef{4, 6});
    return sums.div(sums.square().sum(2, /*keepdim=*/true).sqrt().clamp_min(1e-12));
  }
  const Tensor cells = pixels.mean(at::IntArrayRef{4, 6});
  return cells.div(cells.square().sum(2, /*keepdim=*/true).add(options.eps * options.eps).sqrt());
}

Tensor hog_targets(const Tensor& images_BCHW, const Tensor& index, int64_t patch, const Hog& options) {
  const at::NoGradGuard no_grad;
  const Tensor cells = hog_cells(images_BCHW, options);
  const int64_t images = cells.size(0), channels = cells.size(1), inside = patch / options.cell;
  const int64_t rows = cells.size(3) / inside, columns = cells.size(4) / inside;
  const Tensor patches_BNF = cells.view({images, channels, options.bins, rows, inside, columns, inside})
                                 .permute({0, 3, 5, 1, 2, 4, 6})
                                 .reshape({images, rows * columns, channels * options.bins * inside * inside});
  return at_patches(patches_BNF, index);
}

}  // namespace flowrun::mim
