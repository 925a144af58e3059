// Statistics of masks over many groups: visible share, predicted share, distance between them. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "nodes/lib/host/types/host_types.h"

namespace flowrun::mask {

struct Spread {
  double mean = 0, sd = 0, min = 0, max = 0;
};

struct MaskSummary {
  // Share of all regions that have this height and width. Only of full rectangles: other regions have no entry.
  std::map<std::pair<int, int>, double> sizes;
  Spread seen;                                            // K / N, over groups
  Spread target;                                          // patches in at least one region / N, over masks
  double adjacency = 0;                                   // share of the target patches with a visible patch above, below, left or right of them
  double distance = 0;                                    // mean city-block distance of a target patch to the nearest visible one
  std::vector<double> row_visibility, column_visibility;  // share of the patches of a row, a column, that are visible
  std::vector<double> visibility, predicted;              // N: how often a patch is visible, a target

  /// Other regions can be rectangles by chance.
  bool mostly_rectangles() const;
};

/// If masks have a map, its hidden patches are the targets and the rest is visible; else the lists count. A patch in
/// two regions is one target patch.
class MaskStatistics {
 public:
  /// Throws std::runtime_error when the grid changes.
  void add(const Masks& masks);
  MaskSummary summary() const;

 private:
  struct Sum {
    double n = 0, mean = 0, squares = 0, min = 0, max = 0;  // squares: of the distances from the mean
    void add(double value);
    Spread spread() const;
  };
  void add_row(const Masks& masks, int64_t row);
  void add_regions(const Masks& masks, int64_t row);
  void add_distances(const std::vector<uint8_t>& visible, const std::vector<uint8_t>& target);

  int grid_ = 0;
  int64_t rows_ = 0, regions_ = 0, target_patches_ = 0, adjacent_ = 0, distance_ = 0, reached_ = 0;
  std::map<std::pair<int, int>, int64_t> sizes_;
  Sum seen_, target_;
  std::vector<int64_t> visible_count_, target_count_;
};

}  // namespace flowrun::mask
