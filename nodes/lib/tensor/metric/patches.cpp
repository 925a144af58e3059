#include "nodes/lib/tensor/metric/patches.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <stdexcept>
#include <string>

namespace flowrun::eval {

Patches Patches::of_images(const Tensor& images) const {
  const Tensor device_images = images.to(features_ND.device());
  const Tensor rows = device_images.unsqueeze(1).mul(per_image).add(at::arange(per_image, device_images.options())).flatten();
  return {features_ND.index_select(0, rows), pixels_NF.index_select(0, rows), per_image};
}

Patches Patches::labelled() const {
  const Tensor rows = modes(pixels_NF).ne(255).nonzero().flatten();
  return {features_ND.index_select(0, rows), pixels_NF.index_select(0, rows), per_image};
}

Tensor cut_maps(const Tensor& maps_BHW, int64_t grid) {
  const int64_t height = maps_BHW.size(1), width = maps_BHW.size(2);
  if (height % grid != 0 || width % grid != 0) {
    throw std::invalid_argument("label maps of " + std::to_string(width) + "x" + std::to_string(height) + " can't be cut to " + std::to_string(grid) +
                                "x" + std::to_string(grid) + " patches: resize them to the image's size");
  }
  return maps_BHW.reshape({-1, grid, height / grid, grid, width / grid}).permute({0, 1, 3, 2, 4}).reshape({-1, (height / grid) * (width / grid)});
}

Tensor modes(const Tensor& values_NF) {
  std::vector<Tensor> parts;
  constexpr int64_t chunk = 1 << 16;
  for (int64_t begin = 0; begin < values_NF.size(0); begin += chunk) {
    const Tensor values = values_NF.slice(0, begin, begin + chunk).to(at::kLong);
    const Tensor counts = at::zeros({values.size(0), 256}, values.options().dtype(at::kInt));
    // argmax names the first of equals: the smallest class.
    parts.push_back(counts.scatter_add(1, values, at::ones({1, 1}, counts.options()).expand_as(values)).argmax(1));
  }
  return parts.empty() ? at::zeros({0}, values_NF.options().dtype(at::kLong)) : at::cat(parts);
}

}  // namespace flowrun::eval
