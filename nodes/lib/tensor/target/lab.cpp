#include "nodes/lib/tensor/target/lab.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <algorithm>
#include <utility>
#include <vector>

namespace flowrun::target {
namespace {

Tensor root(const Tensor& t) { return at::where(t.gt(0.008856), t.clamp_min(1e-9).pow(1.0 / 3), t.mul(7.787).add(16.0 / 116)); }

/// Intensities of sRGB values in 0..1.
Tensor linear(const Tensor& rgb) { return at::where(rgb.le(0.04045), rgb.div(12.92), rgb.add(0.055).div(1.055).pow(2.4)); }

/// Lab of intensities.
Tensor of_linear(const Tensor& x_BCHW) {
  const Tensor red = x_BCHW.select(1, 0), green = x_BCHW.select(1, 1), blue = x_BCHW.select(1, 2);
  // CIE XYZ over that of the white of D65.
  const Tensor x = root(red.mul(0.412453).add(green, 0.357580).add(blue, 0.180423).div(0.95047));
  const Tensor y = root(red.mul(0.212671).add(green, 0.715160).add(blue, 0.072169));
  const Tensor z = root(red.mul(0.019334).add(green, 0.119193).add(blue, 0.950227).div(1.08883));
  return at::stack({y.mul(116).sub(16), x.sub(y).mul(500), y.sub(z).mul(200)}, 1);
}

/// Intensities on the surface of the cube of 8-bit colours, [1, 3, 6 x 256, 256]. Every ab of the cube lies on it too: along a line of one ab the
/// lightness can change until a channel is 0 or 255.
Tensor cube_surface() {
  const Tensor level = linear(at::arange(256, at::kDouble).div(255));
  const Tensor rows = level.unsqueeze(1).expand({256, 256}), columns = level.unsqueeze(0).expand({256, 256});
  std::vector<Tensor> faces;
  for (int fixed = 0; fixed < 3; ++fixed) {
    for (const Tensor& end : {at::zeros_like(rows), at::ones_like(rows)}) {
      std::vector<Tensor> channels = {rows, columns};
      channels.insert(channels.begin() + fixed, end);
      faces.push_back(at::stack(channels));
    }
  }
  return at::cat(faces, 1).unsqueeze(0);
}

}  // namespace

Tensor lab(const Tensor& rgb_BCHW) { return of_linear(linear(rgb_BCHW.clamp(0, 1))); }

Tensor colour_bins(double bin) {
  const Tensor ab_2n = of_linear(cube_surface()).select(0, 0).narrow(0, 1, 2).flatten(1).div(bin).add(0.5).floor().to(at::kLong).contiguous();
  const int64_t count = ab_2n.size(1);
  const int64_t* const a = ab_2n.const_data_ptr<int64_t>();
  std::vector<std::pair<int64_t, int64_t>> found;
  for (int64_t i = 0; i < count; ++i) {
    // Neighbours are mostly in one bin.
    if (const std::pair at(a[i], a[count + i]); found.empty() || found.back() != at) found.push_back(at);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  std::vector<float> centres;
  for (const auto& [of_a, of_b] : found) {
    centres.push_back(static_cast<float>(static_cast<double>(of_a) * bin));
    centres.push_back(static_cast<float>(static_cast<double>(of_b) * bin));
  }
  return at::from_blob(centres.data(), {static_cast<int64_t>(found.size()), 2}, at::TensorOptions(at::kFloat)).clone();
}

Tensor soft_bins(const Tensor& ab_n2, const Tensor& bins_K2, int64_t neighbours, double sigma) {
  const Tensor bins = bins_K2.to(ab_n2.scalar_type());
  const Tensor squares_nK =
      ab_n2.select(1, 0).unsqueeze(1).sub(bins.select(1, 0)).square().add(ab_n2.select(1, 1).unsqueeze(1).sub(bins.select(1, 1)).square());
  const auto [nearest, index] = squares_nK.topk(std::min(neighbours, bins.size(0)), 1, /*largest=*/false, /*sorted=*/true);
  // Relative to the nearest, so that a colour far from all bins doesn't divide 0 by 0.
  const Tensor weight = nearest.sub(nearest.narrow(1, 0, 1)).mul(-1 / (2 * sigma * sigma)).exp();
  return at::zeros_like(squares_nK).scatter(1, index, weight.div(weight.sum(1, /*keepdim=*/true)));
}

Tensor rebalanced(const Tensor& share_K, double even) {
  const Tensor weight = share_K.mul(1 - even).add(even / static_cast<double>(share_K.size(0))).reciprocal();
  return weight.div(weight.mul(share_K).sum());
}

}  // namespace flowrun::target
