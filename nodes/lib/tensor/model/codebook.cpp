#include "nodes/lib/tensor/model/codebook.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <algorithm>
#include <stdexcept>

#include "nodes/lib/tensor/model/random.h"

namespace flowrun::model {

Codebook::Codebook(int64_t codes, int64_t width, uint64_t seed) {
  if (codes < 1 || width < 1) throw std::invalid_argument("a codebook needs codes and a width");
  buffers_.add("centers", keyed_normal({codes, width}, 1, seed, at::TensorOptions(at::kFloat)));
  buffers_.add("counts", at::zeros({codes}, at::kLong));
}

Tensor Codebook::nearest(const Tensor& values_nF) const {
  const at::NoGradGuard no_grad;
  if (values_nF.size(1) != width()) {
    throw std::invalid_argument("the rows have " + std::to_string(values_nF.size(1)) + " values, the codebook's centres " + std::to_string(width()));
  }
  const Tensor& centers = buffers_[0];
  // |x - c|^2 is smallest where |c|^2 / 2 - x c is.
  const Tensor half_K = centers.square().sum(1).mul(0.5), centers_FK = centers.t();
  constexpr int64_t part = 4096;
  Tensor out = at::empty({values_nF.size(0)}, centers.options().dtype(at::kLong));
  for (int64_t first = 0; first < values_nF.size(0); first += part) {
    const int64_t count = std::min(part, values_nF.size(0) - first);
    const Tensor rows = values_nF.narrow(0, first, count).to(centers.scalar_type());
    out.narrow(0, first, count).copy_(at::addmm(half_K, rows, centers_FK, 1, -1).argmin(1));
  }
  return out;
}

Cost Codebook::cost_of(const Planned& target, double images) const {
  if (target.width == 0 || images == 0) return {};
  const double rows = target.bytes / 4 / target.width / images;
  return {.flops = 2 * rows * static_cast<double>(codes() * width()), .working = 4 * rows * static_cast<double>(codes())};
}

void Codebook::move(const Tensor& sums_KF, const Tensor& counts_K, const Tensor& some_nF) {
  const at::NoGradGuard no_grad;
  const Tensor &centers = buffers_[0], &counts = buffers_[1];
  const Tensor before = counts.clone();
  counts.add_(counts_K);
  const auto column = [](const Tensor& x) { return x.to(at::kDouble).unsqueeze(1); };
  const Tensor moved = centers.to(at::kDouble).mul(column(before)).add(sums_KF).div(column(counts).clamp_min(1));
  const Tensor places = at::arange(codes(), counts.options()).mul(some_nF.size(0)).div(codes(), "floor");
  const Tensor others = some_nF.to(centers.scalar_type()).index_select(0, places);
  centers.copy_(at::where(counts.gt(0).unsqueeze(1), moved.to(centers.scalar_type()), others));
}

}  // namespace flowrun::model
