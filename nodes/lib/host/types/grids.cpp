#include "nodes/lib/host/types/grids.h"

#include <algorithm>
#include <cstring>

#include "graph/contract/rng.h"
#include "graph/contract/shown.h"

namespace flowrun {
namespace {

std::string size_text(int height, int width, int channels, int views) {
  return (views > 1 ? std::to_string(views) + " views of " : "") + std::to_string(height) + " x " + std::to_string(width) + " x " +
         std::to_string(channels);
}

}  // namespace

void FeatureGrid::reshape(int new_height, int new_width, int new_channels, int new_views) {
  height = new_height, width = new_width, channels = new_channels, views = new_views;
  values.assign(static_cast<size_t>(views * cells()) * static_cast<size_t>(channels), 0);
  valid.assign(static_cast<size_t>(views * cells()), 0);
}

void FeatureGrid::show(Shown& out, int64_t, int64_t) const {
  const auto full = std::count(valid.begin(), valid.end(), uint8_t{1});
  out.text = size_text(height, width, channels, views) + ", " + std::to_string(full) + " cells valid";
  out.content = hash_bytes(values.data(), values.size() * sizeof(float));
  out.details = {{"valid", full}};
}

void GridBatch::show(Shown& out, int64_t place, int64_t) const {
  out.empty = grids == 0;
  if (grids == 0) return;
  out.text = size_text(height, width, channels, views);
  const size_t each = values.size() / static_cast<size_t>(grids) * static_cast<size_t>(views);
  out.content = hash_bytes(values.data() + static_cast<size_t>(place) * each, each);
}

bool GridBatch::put(int64_t i, int64_t capacity, const FeatureGrid& grid) {
  const size_t bytes = grid.values.size() * sizeof(float);
  std::call_once(once_, [&] {
    height = grid.height, width = grid.width, channels = grid.channels, views = grid.views;
    values.resize(static_cast<size_t>(capacity) * bytes);
  });
  if (grid.height != height || grid.width != width || grid.channels != channels || grid.views != views) return false;
  std::memcpy(values.data() + static_cast<size_t>(i) * bytes, grid.values.data(), bytes);
  return true;
}

}  // namespace flowrun
