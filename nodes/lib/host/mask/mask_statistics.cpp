#include "nodes/lib/host/mask/mask_statistics.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace flowrun::mask {
namespace {

/// City-block distance of every patch to the nearest visible one: forth and back over the grid.
std::vector<int> distances(const std::vector<uint8_t>& visible, int grid) {
  const int far = 4 * grid;
  std::vector<int> out(visible.size(), far);
  const auto relax = [&](int y, int x, int from_y, int from_x) {
    if (from_y < 0 || from_x < 0 || from_y >= grid || from_x >= grid) return;
    const int to = y * grid + x, from = from_y * grid + from_x;
    int& value = out[static_cast<size_t>(to)];
    value = std::min(value, out[static_cast<size_t>(from)] + 1);
  };
  for (int i = 0; i < grid * grid; ++i) {
    if (visible[static_cast<size_t>(i)]) out[static_cast<size_t>(i)] = 0;
    relax(i / grid, i % grid, i / grid - 1, i % grid);
    relax(i / grid, i % grid, i / grid, i % grid - 1);
  }
  for (int i = grid * grid - 1; i >= 0; --i) {
    relax(i / grid, i % grid, i / grid + 1, i % grid);
    relax(i / grid, i % grid, i / grid, i % grid + 1);
  }
  return out;
}

}  // namespace

void MaskStatistics::Sum::add(double value) {
  min = n == 0 ? value : std::min(min, value), max = n == 0 ? value : std::max(max, value);
  // Welford's way: exactly 0 when all values are equal.
  const double before = value - mean;
  n += 1, mean += before / n, squares += before * (value - mean);
}

Spread MaskStatistics::Sum::spread() const { return {mean, n > 0 ? std::sqrt(squares / n) : 0, min, max}; }

void MaskStatistics::add(const Masks& masks) {
  const auto patches = static_cast<size_t>(masks.grid) * static_cast<size_t>(masks.grid);
  if (grid_ == 0) grid_ = masks.grid, visible_count_.resize(patches), target_count_.resize(patches);
  if (grid_ != masks.grid) throw std::runtime_error("masks of different grids can't be summed up together");
  seen_.add(static_cast<double>(masks.visible_count) / static_cast<double>(patches));
  for (int64_t row = 0; row < masks.rows(); ++row) add_row(masks, row), add_regions(masks, row);
}

void MaskStatistics::add_row(const Masks& masks, int64_t row) {
  std::vector<uint8_t> visible(visible_count_.size()), target(visible.size());
  if (masks.map.empty()) {
    for (int64_t k = 0; k < masks.visible_count; ++k)
      visible[static_cast<size_t>(masks.visible[static_cast<size_t>(row * masks.visible_count + k)])] = 1;
    const int64_t per_row = masks.regions * masks.region_size;
    for (int64_t m = 0; m < per_row; ++m) target[static_cast<size_t>(masks.targets[static_cast<size_t>(row * per_row + m)])] = 1;
  } else {
    for (size_t p = 0; p < visible.size(); ++p) target[p] = masks.map[static_cast<size_t>(row) * visible.size() + p] != 0, visible[p] = !target[p];
  }
  for (size_t p = 0; p < visible.size(); ++p) visible_count_[p] += visible[p], target_count_[p] += target[p];
  ++rows_;
  target_.add(static_cast<double>(std::count(target.begin(), target.end(), uint8_t{1})) / static_cast<double>(target.size()));
  add_distances(visible, target);
}

void MaskStatistics::add_distances(const std::vector<uint8_t>& visible, const std::vector<uint8_t>& target) {
  const std::vector<int> distance = distances(visible, grid_);
  const bool any = std::find(visible.begin(), visible.end(), uint8_t{1}) != visible.end();
  for (size_t p = 0; p < target.size(); ++p) {
    if (!target[p]) continue;
    ++target_patches_;
    adjacent_ += distance[p] == 1;
    if (any) ++reached_, distance_ += distance[p];
  }
}

void MaskStatistics::add_regions(const Masks& masks, int64_t row) {
  for (int64_t r = 0; r < masks.regions && masks.region_size > 0; ++r) {
    const int64_t* region = masks.targets.data() + (row * masks.regions + r) * masks.region_size;
    int top = grid_, left = grid_, bottom = -1, right = -1;
    for (int64_t m = 0; m < masks.region_size; ++m) {
      const int y = static_cast<int>(region[m]) / grid_, x = static_cast<int>(region[m]) % grid_;
      top = std::min(top, y), left = std::min(left, x), bottom = std::max(bottom, y), right = std::max(right, x);
    }
    ++regions_;
    const int height = bottom - top + 1, width = right - left + 1;
    if (int64_t{height} * width == masks.region_size) ++sizes_[{height, width}];
  }
}

bool MaskSummary::mostly_rectangles() const {
  double all = 0;
  for (const auto& [size, share] : sizes) all += share;
  return all > 0.5;
}

MaskSummary MaskStatistics::summary() const {
  MaskSummary out;
  const auto share = [](int64_t part, int64_t of) { return of == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(of); };
  for (const auto& [size, count] : sizes_) out.sizes[size] = share(count, regions_);
  out.seen = seen_.spread(), out.target = target_.spread();
  out.adjacency = share(adjacent_, target_patches_), out.distance = share(distance_, reached_);
  out.row_visibility.assign(static_cast<size_t>(grid_), 0), out.column_visibility = out.row_visibility;
  for (size_t p = 0; p < visible_count_.size(); ++p) {
    out.visibility.push_back(share(visible_count_[p], rows_)), out.predicted.push_back(share(target_count_[p], rows_));
    out.row_visibility[p / static_cast<size_t>(grid_)] += out.visibility[p] / grid_;
    out.column_visibility[p % static_cast<size_t>(grid_)] += out.visibility[p] / grid_;
  }
  return out;
}

}  // namespace flowrun::mask
