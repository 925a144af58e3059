#include "nodes/lib/tensor/model/rows.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/index.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>
#include <stdexcept>
#include <string>

#include "nodes/lib/tensor/device/float32.h"

namespace flowrun::model {
namespace {

std::vector<int64_t> with_width(const Tensor& index, int64_t width) {
  auto shape = index.sizes().vec();
  shape.push_back(width);
  return shape;
}

}  // namespace

void check_indices(const Tensor& index, int64_t rows) {
  if (index.scalar_type() != at::kLong) throw std::invalid_argument("patch indices must be int64");
  if (!index.is_cpu()) return;
  const Tensor dense = index.contiguous();
  const int64_t* values = dense.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < dense.numel(); ++i) {
    if (values[i] < 0 || values[i] >= rows) {
      throw std::out_of_range("patch index " + std::to_string(values[i]) + " is outside the " + std::to_string(rows) + " patches of an image");
    }
  }
}

Tensor gather_rows(const Tensor& x_BND, const Tensor& index) {
  const int64_t images = x_BND.size(0), rows = x_BND.size(1), width = x_BND.size(2);
  if (index.dim() < 1 || index.size(0) != images) {
    throw std::invalid_argument("indices of " + std::to_string(index.dim() < 1 ? 0 : index.size(0)) + " images for tokens of " +
                                std::to_string(images));
  }
  check_indices(index, rows);
  const Tensor flat_B1 = at::arange(images, index.options()).mul_(rows).view({images, 1});
  const Tensor flat = index.reshape({images, -1}).add(flat_B1).view({-1});
  return at::index_select(x_BND.reshape({images * rows, width}), 0, flat).view(with_width(index, width));
}

Tensor gather_repeated(const Tensor& x_BND, const Tensor& index) {
  const int64_t images = x_BND.size(0);
  if (index.dim() < 1 || images == 0 || index.size(0) % images != 0) {
    throw std::invalid_argument("indices of " + std::to_string(index.dim() < 1 ? 0 : index.size(0)) + " masks for " + std::to_string(images) +
                                " images");
  }
  return gather_rows(x_BND, index.reshape({images, -1})).view(with_width(index, x_BND.size(2)));
}

Tensor flat_rows(const Tensor& x_BND, const Tensor& index_n) {
  check_indices(index_n, x_BND.size(0) * x_BND.size(1));
  // Two indices, so that a slice of a longer sequence isn't copied first.
  return at::index(x_BND, {index_n.div(x_BND.size(1), "floor"), index_n.remainder(x_BND.size(1))});
}

Tensor share_of_image(const Tensor& image_n, int64_t images, at::ScalarType type) {
  const Tensor rows = at::zeros({images}, image_n.options()).index_add_(0, image_n, at::ones_like(image_n));
  return rows.to(type).reciprocal().index_select(0, image_n);
}

Tensor table_rows(const Tensor& table_ND, const Tensor& index) {
  check_indices(index, table_ND.size(0));
  return at::index_select(table_ND, 0, index.reshape({-1})).view(with_width(index, table_ND.size(1)));
}

Tensor unit_rows(const Tensor& x) {
  const Tensor wide = at_least_float(x);
  return wide.div(wide.norm(2, {-1}, /*keepdim=*/true).clamp_min(1e-12));
}

}  // namespace flowrun::model
