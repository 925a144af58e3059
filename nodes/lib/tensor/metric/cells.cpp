#include "nodes/lib/tensor/metric/cells.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/adaptive_max_pool2d.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "nodes/lib/tensor/metric/patches.h"

namespace flowrun::eval {

CellShares cell_shares(const Tensor& maps_BHW, int64_t grid, int64_t classes) {
  const at::NoGradGuard no_grad;
  const Tensor pixels_nF = cut_maps(maps_BHW, grid).to(at::kLong).clamp_max(classes);  // no label is one class more
  const at::TensorOptions options = pixels_nF.options().dtype(at::kFloat);
  const Tensor counts =
      at::zeros({pixels_nF.size(0), classes + 1}, options).scatter_add_(1, pixels_nF, at::ones({1, 1}, options).expand_as(pixels_nF));
  const Tensor of_classes = counts.narrow(1, 0, classes), labelled_n = of_classes.sum(1);
  return {of_classes.div(labelled_n.clamp_min(1).unsqueeze(1)), labelled_n.div(static_cast<double>(pixels_nF.size(1)))};
}

Tensor foreground(const Tensor& maps_BHW, int64_t height, int64_t width, const Foreground& what) {
  const at::NoGradGuard no_grad;
  Tensor mask = maps_BHW.ne(255);
  for (const int64_t label : what.background) mask = mask.logical_and(maps_BHW.ne(label));
  const Tensor cells = std::get<0>(at::adaptive_max_pool2d(mask.unsqueeze(1).to(at::kFloat), {height, width}));
  const int64_t reach = what.reach, side = 2 * reach + 1;
  return reach == 0 ? cells : at::max_pool2d(cells, {side, side}, {1, 1}, {reach, reach});
}

}  // namespace flowrun::eval
