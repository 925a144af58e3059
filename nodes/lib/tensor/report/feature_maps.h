// Features of patches as pictures: principal components as colours, and similarities to one patch. Plain numbers in and out, on the host.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "nodes/lib/tensor/report/sheet.h"

namespace flowrun {

/// A view of N rows of D numbers, one after the other.
struct RowsView {
  std::span<const float> values;
  int64_t width = 0;  // D
  int64_t rows() const { return width > 0 ? static_cast<int64_t>(values.size()) / width : 0; }
  RowsView part(int64_t first, int64_t count) const {
    return {values.subspan(static_cast<size_t>(first * width), static_cast<size_t>(count * width)), width};
  }
};

/// Principal components of patch features: three of them, and how their coordinates become colours. The same rows give the same basis.
struct ColourBasis {
  std::vector<double> mean_D;
  std::vector<double> components_3D;    // rows of length 1, by falling variance; the coordinate of largest size of each is positive
  std::array<double, 3> share{};        // of the variance of all features, 0..1
  std::array<double, 3> low{}, high{};  // percentiles 1 and 99 of the rows' coordinates, which become 0 and 255
};

/// The basis of rows of finite numbers, in float64 from the eigenvectors of their covariance. Figure 1 of DINOv2 (Oquab et al., 2023) colours
/// patches so, but those of the foreground alone. Features of fewer than three numbers have components of zeros at the end. Throws
/// std::invalid_argument without rows or with numbers that are not finite.
ColourBasis colour_basis(RowsView features_ND);

/// The colour of each row: its coordinates as red, green and blue, clipped. A component without variance is gray.
std::vector<Colour> feature_colours(const ColourBasis& basis, RowsView features_ND);

/// The cosine of a row with every row, itself included. A row of zeros has the cosine 0 with all.
std::vector<float> cosines_to(RowsView features_ND, int64_t row);

/// The rows nearest to each row by cosine, nearest first, without itself; of equal ones the first. min(count, N - 1) for each row of `of`.
/// Rows with numbers that are not finite are never near, and have no neighbours.
struct Neighbour {
  int64_t row = 0;
  float cosine = 0;
};
std::vector<std::vector<Neighbour>> nearest_rows(RowsView features_ND, const std::vector<int64_t>& of, int64_t count,
                                                 const std::function<void(int64_t done)>& progress = {});

/// Rows in so few numbers that a page can hold them: the cosine of rows i and j is about scale^2 times the dot product of their codes.
struct CosineCodes {
  int64_t width = 0;             // K
  std::vector<int8_t> codes_NK;  // of rows of length 1 in their K leading directions (of the second moment, not centred)
  double scale = 0;
  double mean_error = 0, most_error = 0;  // of the cosine so computed, measured over `checked` rows, evenly spread, against all
  int64_t checked = 0;
};
CosineCodes cosine_codes(RowsView features_ND, int64_t width);

}  // namespace flowrun
