#include "nodes/lib/tensor/report/feature_maps.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun {
namespace {

constexpr double low_share = 0.01, high_share = 0.99;
constexpr int64_t most_checked = 256;  // rows whose cosines are computed in full, for the error

Tensor tensor_of(RowsView rows) {
  // Nothing writes to it.
  return at::from_blob(const_cast<float*>(rows.values.data()), {rows.rows(), rows.width}, at::kFloat);
}

Tensor doubles(RowsView rows) {
  if (rows.rows() == 0) throw std::invalid_argument("there are no features to look at");
  Tensor x = tensor_of(rows).to(at::kDouble);
  if (!at::isfinite(x).all().item<bool>()) throw std::invalid_argument("features have numbers that are not finite");
  return x;
}

Tensor unit_rows(const Tensor& x_ND) { return x_ND.div(at::linalg_vector_norm(x_ND, 2, {-1}, /*keepdim=*/true).clamp_min(1e-12)); }

/// The leading eigenvectors of a symmetric matrix as rows, and all eigenvalues, falling. Of each vector the number of largest size, of
/// equal ones the first, is positive.
std::pair<Tensor, Tensor> leading(const Tensor& matrix_DD, int64_t count) {
  const auto [values, vectors] = at::linalg_eigh(matrix_DD);
  Tensor rows = vectors.t().flip(0).narrow(0, 0, count).contiguous();
  auto* const v = rows.mutable_data_ptr<double>();
  const int64_t width = rows.size(1);
  for (int64_t k = 0; k < count; ++k) {
    double* const row = v + k * width;
    double largest = 0;
    for (int64_t d = 0; d < width; ++d) {
      if (std::abs(row[d]) > std::abs(largest) * (1 + 1e-9)) largest = row[d];
    }
    for (int64_t d = 0; largest < 0 && d < width; ++d) row[d] = -row[d];
  }
  return {rows, values.flip(0).contiguous()};
}

/// Linear between the nearest two, as NumPy's.
double percentile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const double next = sorted[std::min(below + 1, sorted.size() - 1)];
  return sorted[below] + (place - static_cast<double>(below)) * (next - sorted[below]);
}

/// Coordinates of the rows, N 3.
Tensor coordinates(const ColourBasis& basis, const Tensor& x_ND) {
  const int64_t width = x_ND.size(1);
  const Tensor mean = at::from_blob(const_cast<double*>(basis.mean_D.data()), {width}, at::kDouble);
  const Tensor components = at::from_blob(const_cast<double*>(basis.components_3D.data()), {3, width}, at::kDouble);
  return x_ND.sub(mean).matmul(components.t()).contiguous();
}

}  // namespace

ColourBasis colour_basis(RowsView features_ND) {
  const at::NoGradGuard no_grad;
  const Tensor x = doubles(features_ND);
  const auto width = static_cast<size_t>(x.size(1));
  const Tensor mean = x.mean(0).contiguous(), centred = x.sub(mean);
  const auto [vectors, values] = leading(centred.t().matmul(centred).div(static_cast<double>(x.size(0))), std::min<int64_t>(3, x.size(1)));
  ColourBasis out;
  const auto* const m = mean.const_data_ptr<double>();
  out.mean_D.assign(m, m + width);
  const auto* const v = vectors.const_data_ptr<double>();
  out.components_3D.assign(v, v + vectors.numel());
  out.components_3D.resize(3 * width, 0.0);
  const double all = std::max(values.sum().item<double>(), 1e-300);
  const Tensor places = coordinates(out, x);
  const auto* const place = places.const_data_ptr<double>();
  std::vector<double> sorted(static_cast<size_t>(x.size(0)));
  for (size_t k = 0; k < 3; ++k) {
    if (k < width) out.share[k] = std::max(0.0, values.const_data_ptr<double>()[k]) / all;
    for (size_t i = 0; i < sorted.size(); ++i) sorted[i] = place[3 * i + k];
    std::sort(sorted.begin(), sorted.end());
    out.low[k] = percentile(sorted, low_share), out.high[k] = percentile(sorted, high_share);
  }
  return out;
}

std::vector<Colour> feature_colours(const ColourBasis& basis, RowsView features_ND) {
  const at::NoGradGuard no_grad;
  const Tensor places = coordinates(basis, doubles(features_ND));
  const auto* const place = places.const_data_ptr<double>();
  std::vector<Colour> out(static_cast<size_t>(places.size(0)));
  for (size_t i = 0; i < out.size(); ++i) {
    for (size_t k = 0; k < 3; ++k) {
      const double range = basis.high[k] - basis.low[k];
      const double share = range > 1e-12 ? (place[3 * i + k] - basis.low[k]) / range : 0.5;
      out[i][k] = static_cast<uint8_t>(std::lround(255 * std::clamp(share, 0.0, 1.0)));
    }
  }
  return out;
}

std::vector<float> cosines_to(RowsView features_ND, int64_t row) {
  const at::NoGradGuard no_grad;
  const Tensor unit = unit_rows(doubles(features_ND));
  const Tensor cosines = unit.matmul(unit[row]).to(at::kFloat).contiguous();
  const auto* const values = cosines.const_data_ptr<float>();
  return {values, values + cosines.numel()};
}

std::vector<std::vector<Neighbour>> nearest_rows(RowsView features_ND, const std::vector<int64_t>& of, int64_t count,
                                                 const std::function<void(int64_t done)>& progress) {
  const at::NoGradGuard no_grad;
  const Tensor x = tensor_of(features_ND);
  const Tensor finite = at::isfinite(x).all(1).contiguous();
  const Tensor unit = unit_rows(x);
  std::vector<std::vector<Neighbour>> out;
  for (const int64_t row : of) {
    if (progress) progress(static_cast<int64_t>(out.size()));
    std::vector<Neighbour>& near = out.emplace_back();
    if (!finite[row].item<bool>()) continue;
    const Tensor cosines = unit.matmul(unit[row]).contiguous();
    const auto* const value = cosines.const_data_ptr<float>();
    for (int64_t i = 0; i < x.size(0); ++i) {
      if (i != row && finite.const_data_ptr<bool>()[i]) near.push_back({i, value[i]});
    }
    const auto end = near.begin() + std::min<int64_t>(count, static_cast<int64_t>(near.size()));
    std::partial_sort(near.begin(), end, near.end(),
                      [](const Neighbour& a, const Neighbour& b) { return a.cosine != b.cosine ? a.cosine > b.cosine : a.row < b.row; });
    near.erase(end, near.end());
  }
  return out;
}

CosineCodes cosine_codes(RowsView features_ND, int64_t width) {
  const at::NoGradGuard no_grad;
  const Tensor unit = unit_rows(doubles(features_ND));
  const int64_t rows = unit.size(0);
  CosineCodes out;
  out.width = std::min(width, unit.size(1));
  const Tensor directions = leading(unit.t().matmul(unit), out.width).first;
  const Tensor places = unit.matmul(directions.t());
  const double largest = places.abs().max().item<double>();
  out.scale = largest > 0 ? largest / 127 : 1;
  const Tensor codes = places.div(out.scale).round().clamp(-127, 127);
  const Tensor bytes = codes.to(at::kChar).contiguous();
  const auto* const byte = bytes.const_data_ptr<int8_t>();
  out.codes_NK.assign(byte, byte + bytes.numel());
  out.checked = std::min(rows, most_checked);
  double sum = 0;
  for (int64_t i = 0; i < out.checked; ++i) {
    const int64_t row = i * rows / out.checked;
    const Tensor error = unit.matmul(unit[row]).sub(codes.matmul(codes[row]).mul(out.scale * out.scale)).abs();
    sum += error.mean().item<double>(), out.most_error = std::max(out.most_error, error.max().item<double>());
  }
  out.mean_error = sum / static_cast<double>(out.checked);
  return out;
}

}  // namespace flowrun
