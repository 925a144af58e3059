// Cells of views that show the same places of a picture, and which views were mirrored.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "graph/contract/planned.h"

namespace flowrun {

/// Whether each view of a picture is mirrored left-right, 1 or 0.
struct Mirrored {
  static constexpr const char* type_name = "mirrored";
  std::vector<uint8_t> views;
};

/// Of each pair of views `rows` cells of the first one with what lies at the same place of the picture in the second: the four cells around it
/// and their bilinear weights. Cells count row by row in grids of from_grid and to_grid cells a side. Pairs are sorted by the first view,
/// then by the second.
struct MatchLayout {
  int64_t from_grid = 0, to_grid = 0, rows = 0;
  std::vector<int64_t> from_view, to_view;  // of each pair
  int64_t from_views = 0, to_views = 0;     // of a picture
  int64_t pairs() const { return static_cast<int64_t>(from_view.size()); }
  bool operator==(const MatchLayout&) const = default;
};

/// Of one picture.
struct Matches {
  static constexpr const char* type_name = "matches";
  MatchLayout layout;
  std::vector<int64_t> from;   // pairs x rows
  std::vector<int64_t> to;     // pairs x rows x 4
  std::vector<float> weights;  // the same
  std::vector<uint8_t> valid;  // pairs x rows: 0 where the place lies outside the second view
};

/// Of a group's pictures, one behind the other. Places are written by several threads, each its own.
struct MatchBatch : Matches {
  static constexpr const char* type_name = "match batch";
  int64_t pictures = 0;
  size_t bytes() const { return from.size() * 8 + to.size() * 8 + weights.size() * 4 + valid.size(); }
  MatchBatch& operator=(const MatchBatch& other) {
    static_cast<Matches&>(*this) = other;
    pictures = other.pictures;
    return *this;
  }
  /// Copies those of picture `i`, of at most `capacity`. Returns false where another picture's have another layout.
  bool put(int64_t i, int64_t capacity, const Matches& of_picture);

 private:
  std::once_flag once_;
};

}  // namespace flowrun
