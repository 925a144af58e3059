#include "nodes/lib/host/mask/filtered_noise.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <numeric>
#include <stdexcept>
#include <string>

namespace flowrun::mask {
namespace {

using Values = std::vector<double>;

/// Side of the torus that the noise lives on: as far around the grid as filters reach.
int torus_side(const FilteredNoise& options) { return options.grid + static_cast<int>(std::ceil(4 * std::max(options.sigma1, options.sigma2))); }

/// A Gaussian's transfer function exp(-2 pi^2 sigma^2 f^2) as weights around a ring of `side` pixels. Sampling the
/// Gaussian itself would be another filter when sigma is below a patch.
Values ring_weights(int side, double sigma) {
  Values weights;
  for (int k = 0; k < side; ++k) {
    double sum = 0;
    for (int n = 0; n < side; ++n) {
      const double f = static_cast<double>(std::min(n, side - n)) / side, phase = 2 * std::numbers::pi * n * k / side;
      sum += std::exp(-2 * std::numbers::pi * std::numbers::pi * sigma * sigma * f * f) * std::cos(phase);
    }
    weights.push_back(sum / side);
  }
  return weights;
}

/// Convolution of every row with the weights, around the ring; the result is transposed.
Values pass(const Values& in, size_t side, const Values& weights) {
  Values out(in.size());
  for (size_t y = 0; y < side; ++y) {
    for (size_t x = 0; x < side; ++x) {
      double value = 0;
      for (size_t k = 0; k <= x; ++k) value += weights[k] * in[y * side + x - k];
      for (size_t k = x + 1; k < side; ++k) value += weights[k] * in[y * side + x + side - k];
      out[x * side + y] = value;
    }
  }
  return out;
}

struct Filters {
  size_t side;
  Values first, second;  // second is empty for colours that need no band
};

/// Filtered noise on the grid, which is a corner of the torus.
Values pattern(const FilteredNoise& options, const Filters& filters, Rng rng) {
  const size_t side = filters.side, grid = static_cast<size_t>(options.grid);
  Values white(side * side);
  for (double& value : white) value = rng.normal();
  Values passed = pass(pass(white, side, filters.first), side, filters.first);
  if (!filters.second.empty()) {
    const Values wide = pass(pass(white, side, filters.second), side, filters.second);
    std::transform(passed.begin(), passed.end(), wide.begin(), passed.begin(), std::minus<>());
  }
  const bool rest = options.colour == NoiseColour::blue || options.colour == NoiseColour::purple;
  Values out;
  for (size_t p = 0; p < grid * grid; ++p) {
    const size_t i = p / grid * side + p % grid;
    out.push_back(rest ? white[i] - passed[i] : passed[i]);
  }
  return out;
}

}  // namespace

void draw_filtered_noise(const FilteredNoise& options, const Rng& group, int64_t images, Masks& out) {
  const int64_t patches = int64_t{options.grid} * options.grid, visible = share_of(patches, 1 - options.ratio);
  if (visible < 1 || visible >= patches) {
    throw std::runtime_error("a ratio of " + std::to_string(options.ratio) + " leaves " + std::to_string(visible) + " of " + std::to_string(patches) +
                             " patches visible: some must be hidden and some visible");
  }
  // A normal value takes four draws, and half of a row's draws are there for them.
  const int side = torus_side(options);
  if (int64_t{side} * side * 4 > draws_per_row / 2) {
    throw std::runtime_error("noise on a grid of " + std::to_string(options.grid) +
                             " with filters this wide is too large: make sigma1 and sigma2 smaller");
  }
  start_maps(options.grid, images, 1, out);
  std::fill(out.map.begin(), out.map.end(), uint8_t{1});
  const bool band = options.colour == NoiseColour::green || options.colour == NoiseColour::purple;
  const Filters filters{static_cast<size_t>(side), ring_weights(side, options.sigma1), band ? ring_weights(side, options.sigma2) : Values()};
  std::vector<int64_t> order(static_cast<size_t>(patches));
  for (int64_t i = 0; i < images; ++i) {
    const Values values = pattern(options, filters, row_rng(group, i));
    std::iota(order.begin(), order.end(), int64_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return values[static_cast<size_t>(a)] > values[static_cast<size_t>(b)]; });
    for (int64_t k = 0; k < visible; ++k) map_of_row(out, i)[order[static_cast<size_t>(k)]] = 0;
  }
  fill_lists(group, patches, false, out);
}

}  // namespace flowrun::mask
