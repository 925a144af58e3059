#include "nodes/lib/host/image/match_cells.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace flowrun::image {
namespace {

struct Point {
  double x, y;
};

/// Cells, row by row.
std::vector<int64_t> drawn_cells(const CellOptions& options, Rng& rng) {
  const int64_t grid = options.from_grid, window = options.window, windows = grid / window, rest = grid - windows * window;
  const uint32_t corner = rng.below(4);
  const int64_t down = corner & 1 ? rest : 0, right = corner & 2 ? rest : 0;
  std::vector<int64_t> cells;
  for (int64_t i = 0; i < windows * windows; ++i) {
    const auto cell = static_cast<int64_t>(rng.below(static_cast<uint32_t>(window * window)));
    const int64_t y = down + i / windows * window + cell / window, x = right + i % windows * window + cell % window;
    cells.push_back(y * grid + x);
  }
  return cells;
}

/// Where a cell lies in the picture, in pixels.
Point place_of(int64_t cell, int64_t grid, const io::Rect& rect, bool mirrored) {
  const double last = static_cast<double>(std::max<int64_t>(1, grid - 1));
  const int64_t column = cell % grid, row = cell / grid;
  const double across = static_cast<double>(column) / last * (rect.width - 1), down = static_cast<double>(row) / last * (rect.height - 1);
  return {mirrored ? rect.x + rect.width - 1 - across : rect.x + across, rect.y + down};
}

bool inside(const Point& place, const io::Rect& rect) {
  return place.x > rect.x && place.x < rect.x + rect.width - 1 && place.y > rect.y && place.y < rect.y + rect.height - 1;
}

/// The cells around a place, and their weights.
void around(const Point& place, int64_t grid, const io::Rect& rect, bool mirrored, int64_t* cells, float* weights) {
  const double across = mirrored ? rect.x + rect.width - 1 - place.x : place.x - rect.x;
  const double x = across / (rect.width - 1) * static_cast<double>(grid - 1),
               y = (place.y - rect.y) / (rect.height - 1) * static_cast<double>(grid - 1);
  const auto left = static_cast<int64_t>(std::floor(x)), top = static_cast<int64_t>(std::floor(y));
  const int64_t right = std::min(left + 1, grid - 1), bottom = std::min(top + 1, grid - 1);
  const double to_right = x - static_cast<double>(left), to_bottom = y - static_cast<double>(top);
  const std::array<int64_t, 4> corners = {top * grid + left, top * grid + right, bottom * grid + left, bottom * grid + right};
  const std::array<double, 4> shares = {(1 - to_bottom) * (1 - to_right), (1 - to_bottom) * to_right, to_bottom * (1 - to_right),
                                        to_bottom * to_right};
  for (size_t i = 0; i < 4; ++i) cells[i] = corners[i], weights[i] = static_cast<float>(shares[i]);
}

}  // namespace

Matches match_cells(const PlacedViews& from, const PlacedViews& to, const CellOptions& options, Rng rng) {
  const std::vector<int64_t> cells = drawn_cells(options, rng);
  Matches out;
  out.layout = {.from_grid = options.from_grid,
                .to_grid = options.to_grid,
                .rows = static_cast<int64_t>(cells.size()),
                .from_view = {},
                .to_view = {},
                .from_views = static_cast<int64_t>(from.rects.size()),
                .to_views = static_cast<int64_t>(to.rects.size())};
  for (size_t f = 0; f < from.rects.size(); ++f) {
    for (size_t t = 0; t < to.rects.size(); ++t) {
      if (options.others && f == t) continue;
      out.layout.from_view.push_back(static_cast<int64_t>(f)), out.layout.to_view.push_back(static_cast<int64_t>(t));
      for (const int64_t cell : cells) {
        const Point place = place_of(cell, options.from_grid, from.rects[f], from.mirrored[f] != 0);
        const bool valid = inside(place, to.rects[t]);
        out.from.push_back(cell), out.valid.push_back(valid ? 1 : 0);
        std::array<int64_t, 4> corners{};
        std::array<float, 4> weights{};
        if (valid) around(place, options.to_grid, to.rects[t], to.mirrored[t] != 0, corners.data(), weights.data());
        out.to.insert(out.to.end(), corners.begin(), corners.end());
        out.weights.insert(out.weights.end(), weights.begin(), weights.end());
      }
    }
  }
  return out;
}

}  // namespace flowrun::image
