// Grids of feature vectors in place of pictures: of slides whose tiles another encoder has seen, for example.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "graph/contract/planned.h"
#include "nodes/lib/host/device/host_memory.h"

namespace flowrun {

struct Shown;  // graph/contract/shown.h

/// H W C float32, or several views of one grid, one behind the other. Cells that are not valid hold zeros.
struct FeatureGrid {
  static constexpr const char* type_name = "feature grid";
  int height = 0, width = 0, channels = 0, views = 1;
  std::vector<float> values;
  std::vector<uint8_t> valid;  // views H W, 1 or 0

  int64_t cells() const { return int64_t{height} * width; }
  /// Zeros everywhere, no cell valid.
  void reshape(int new_height, int new_width, int new_channels, int new_views = 1);
  float* at(int view, int64_t cell) { return values.data() + (view * cells() + cell) * channels; }
  const float* at(int view, int64_t cell) const { return values.data() + (view * cells() + cell) * channels; }
  void show(Shown& out, int64_t place, int64_t samples) const;
};

/// Of a group: B H W C float32; of several views B counts these, those of a grid side by side. Places are written by several threads,
/// each its own.
struct GridBatch {
  static constexpr const char* type_name = "feature grids";
  int64_t grids = 0;  // B
  int height = 0, width = 0, channels = 0, views = 1;
  BatchBytes values;

  GridBatch& operator=(const GridBatch& other) {
    grids = other.grids, height = other.height, width = other.width, channels = other.channels, views = other.views, values = other.values;
    return *this;
  }
  size_t bytes() const { return values.size(); }
  void show(Shown& out, int64_t place, int64_t samples) const;
  /// Copies grid `i` of at most `capacity`. Returns false where its shape differs from the others'.
  bool put(int64_t i, int64_t capacity, const FeatureGrid& grid);

 private:
  std::once_flag once_;
};

}  // namespace flowrun
