// Draws cells of a view and finds their places in other views (UDI, github.com/ISL-CV/udi). No graph knowledge.
#pragma once

#include <vector>

#include "graph/contract/rng.h"
#include "io/codec/image.h"
#include "nodes/lib/host/types/matches.h"

namespace flowrun::image {

/// Views of a picture: their rectangles in its pixels, and whether each is mirrored.
struct PlacedViews {
  std::vector<io::Rect> rects;
  std::vector<uint8_t> mirrored;
};

struct CellOptions {
  int64_t from_grid = 14, to_grid = 14;
  int64_t window = 3;   ///< one cell is drawn of each window of so many cells a side
  bool others = false;  ///< `to` are the same views: pairs of a view with itself are left out
};

/// One cell of each window, the same cells in all views; where windows don't fill the grid they lie in a random corner. Corner cells of
/// a view lie on the corners of its rectangle. A place counts as inside another view where it lies strictly within its rectangle.
Matches match_cells(const PlacedViews& from, const PlacedViews& to, const CellOptions& options, Rng rng);

}  // namespace flowrun::image
