#include "nodes/lib/tensor/target/lab.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <algorithm>
#include <cmath>
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

using Cell = std::pair<int64_t, int64_t>;
using Point = std::pair<double, double>;

/// The multiples of 1 that points [2, n] are nearest to.
std::vector<Cell> cells_around(const Tensor& points_2n) {
  const Tensor cells_2n = points_2n.add(0.5).floor().to(at::kLong).contiguous();
  const int64_t count = cells_2n.size(1);
  const int64_t* const a = cells_2n.const_data_ptr<int64_t>();
  std::vector<Cell> found;
  for (int64_t i = 0; i < count; ++i) {
    // Neighbours are mostly in one cell.
    if (const Cell at(a[i], a[count + i]); found.empty() || found.back() != at) found.push_back(at);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

/// Twice the area to the left of the way from `from` over `over` to `to`.
double left_of(const Point& from, const Point& over, const Point& to) {
  return (over.first - from.first) * (to.second - from.second) - (over.second - from.second) * (to.first - from.first);
}

/// Corners of the convex hull of points [2, n], against the clock (Andrew 1979).
std::vector<Point> convex_hull(const Tensor& points_2n) {
  const Tensor points = points_2n.contiguous();
  const int64_t count = points.size(1);
  const double* const a = points.const_data_ptr<double>();
  std::vector<Point> sorted;
  for (int64_t i = 0; i < count; ++i) sorted.emplace_back(a[i], a[count + i]);
  std::sort(sorted.begin(), sorted.end());
  std::vector<Point> hull;
  for (int half = 0; half < 2; ++half) {
    const size_t begin = hull.size();
    for (const Point& at : sorted) {
      while (hull.size() >= begin + 2 && left_of(hull[hull.size() - 2], hull.back(), at) <= 0) hull.pop_back();
      hull.push_back(at);
    }
    hull.pop_back();  // the other half begins there
    std::reverse(sorted.begin(), sorted.end());
  }
  return hull;
}

/// The multiples of 1 around which an open square of side 2 meets the convex hull of the points [2, n]: no edge of either shape parts them.
std::vector<Cell> cells_near_hull(const Tensor& points_2n) {
  const std::vector<Point> hull = convex_hull(points_2n);
  const auto parted = [&](double a, double b) {
    for (size_t i = 0; i < hull.size(); ++i) {
      const Point &from = hull[i], &to = hull[(i + 1) % hull.size()];
      const double reach = std::abs(to.first - from.first) + std::abs(to.second - from.second);
      if (left_of(from, to, {a, b}) <= -reach) return true;
    }
    return false;
  };
  const auto floor_of = [](const Tensor& value) { return static_cast<int64_t>(std::floor(value.item<double>())); };
  const Tensor least = points_2n.amin(1), most = points_2n.amax(1);
  std::vector<Cell> found;
  for (int64_t a = floor_of(least[0]); a <= floor_of(most[0]) + 1; ++a) {
    for (int64_t b = floor_of(least[1]); b <= floor_of(most[1]) + 1; ++b) {
      if (!parted(static_cast<double>(a), static_cast<double>(b))) found.emplace_back(a, b);
    }
  }
  return found;
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

Tensor colour_bins(double bin, Gamut gamut) {
  const Tensor ab_2n = of_linear(cube_surface()).select(0, 0).narrow(0, 1, 2).flatten(1).div(bin);
  const std::vector<Cell> found = gamut == Gamut::hull ? cells_near_hull(ab_2n) : cells_around(ab_2n);
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
