#include "nodes/lib/tensor/report/feature_maps.h"

#include <cmath>
#include <gmock/gmock.h>
#include <limits>
#include <stdexcept>

#include "graph/contract/rng.h"

namespace flowrun {
namespace {

using testing::ElementsAre;

/// Rows around a mean, with a spread of their own along each axis.
std::vector<float> drawn(int64_t rows, const std::vector<double>& spread) {
  Rng rng(3, 0, 0, 0);
  std::vector<float> out;
  for (int64_t i = 0; i < rows; ++i) {
    for (size_t d = 0; d < spread.size(); ++d) out.push_back(static_cast<float>(static_cast<double>(d) + spread[d] * rng.normal()));
  }
  return out;
}

TEST(FeatureMaps, TheBasisOfPointsOnACrossIsItsAxes) {
  // Of variances 8, 4.5 and 0.5 along the axes 1, 0 and 2: shares 8/13, 4.5/13, 0.5/13.
  const double a = std::sqrt(3 * 8.0), b = std::sqrt(3 * 4.5), c = std::sqrt(3 * 0.5);
  std::vector<float> rows;
  for (const auto& [axis, size] : {std::pair{1, a}, {0, b}, {2, c}}) {
    for (const double sign : {1.0, -1.0}) {
      std::vector<float> row = {10, 20, 30};
      row[static_cast<size_t>(axis)] += static_cast<float>(sign * size);
      rows.insert(rows.end(), row.begin(), row.end());
    }
  }
  const ColourBasis basis = colour_basis({rows, 3});
  const std::vector<double> mean = {10, 20, 30}, axes = {0, 1, 0, 1, 0, 0, 0, 0, 1};
  for (size_t d = 0; d < 3; ++d) EXPECT_NEAR(basis.mean_D[d], mean[d], 1e-6);
  for (size_t i = 0; i < 9; ++i) EXPECT_NEAR(basis.components_3D[i], axes[i], 1e-6) << i;
  EXPECT_NEAR(basis.share[0], 8.0 / 13, 1e-6);
  EXPECT_NEAR(basis.share[1], 4.5 / 13, 1e-6);
  EXPECT_NEAR(basis.share[2], 0.5 / 13, 1e-6);
  // Six sorted values, four of them 0: percentile 1 lies at place 0.05 between the first two.
  EXPECT_NEAR(basis.low[0], -0.95 * a, 1e-5);
  EXPECT_NEAR(basis.high[0], 0.95 * a, 1e-5);
  const std::vector<Colour> colours = feature_colours(basis, RowsView{rows, 3}.part(0, 3)),
                            expected = {{255, 128, 128}, {0, 128, 128}, {128, 255, 128}};
  ASSERT_EQ(colours.size(), 3u);
  for (size_t n = 0; n < 3; ++n) {
    for (size_t k = 0; k < 3; ++k) EXPECT_NEAR(colours[n][k], expected[n][k], 1) << n << k;  // the middle lies between 127 and 128
  }
}

TEST(FeatureMaps, ABasisIsThatOfItsRowsInAnyOrderAndOfTheirMirrorImage) {
  const std::vector<float> rows = drawn(200, {3, 1, 5, 0.5, 2});
  std::vector<float> reversed, mirrored;
  for (size_t i = rows.size(); i > 0; i -= 5)
    reversed.insert(reversed.end(), rows.begin() + static_cast<ptrdiff_t>(i - 5), rows.begin() + static_cast<ptrdiff_t>(i));
  for (const float value : rows) mirrored.push_back(-value);
  const ColourBasis basis = colour_basis({rows, 5}), again = colour_basis({reversed, 5}), mirror = colour_basis({mirrored, 5});
  for (size_t i = 0; i < 15; ++i) {
    EXPECT_NEAR(again.components_3D[i], basis.components_3D[i], 1e-10);
    EXPECT_NEAR(mirror.components_3D[i], basis.components_3D[i], 1e-10);
  }
  // Rows of length 1, at right angles.
  for (size_t k = 0; k < 3; ++k) {
    for (size_t l = 0; l <= k; ++l) {
      double dot = 0;
      for (size_t d = 0; d < 5; ++d) dot += basis.components_3D[5 * k + d] * basis.components_3D[5 * l + d];
      EXPECT_NEAR(dot, k == l ? 1 : 0, 1e-12);
    }
  }
}

TEST(FeatureMaps, AComponentWithoutVarianceIsGray) {
  const std::vector<float> rows = {0, 5, 1, 5, 2, 5, 3, 5};
  const ColourBasis basis = colour_basis({rows, 2});
  EXPECT_NEAR(basis.share[0], 1, 1e-12);
  const std::vector<Colour> colours = feature_colours(basis, {rows, 2});
  EXPECT_EQ(colours[0], (Colour{0, 128, 128}));
  EXPECT_EQ(colours[3], (Colour{255, 128, 128}));
}

TEST(FeatureMaps, NumbersThatAreNotFiniteAreRefused) {
  const std::vector<float> rows = {1, 2, std::numeric_limits<float>::quiet_NaN(), 4};
  EXPECT_THROW(colour_basis({rows, 2}), std::invalid_argument);
  EXPECT_THROW(colour_basis({{}, 2}), std::invalid_argument);
}

TEST(FeatureMaps, CosinesAndNeighbours) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> rows = {3, 4, 4, 3, -6, -8, 0, 0, 8, 6};
  const std::vector<float> cosines = cosines_to({rows, 2}, 0);
  const std::vector<double> expected = {1, 0.96, -1, 0, 0.96};
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(cosines[i], expected[i], 1e-7);
  std::vector<float> damaged = rows;
  damaged.insert(damaged.end(), {nan, 1});
  const auto near = nearest_rows({damaged, 2}, {0, 5}, 3);
  ASSERT_EQ(near.size(), 2u);
  ASSERT_EQ(near[0].size(), 3u);
  EXPECT_THAT((std::vector{near[0][0].row, near[0][1].row, near[0][2].row}), ElementsAre(1, 4, 3)) << "of equal ones the first";
  EXPECT_NEAR(near[0][0].cosine, 0.96, 1e-6);
  EXPECT_TRUE(near[1].empty());
  EXPECT_EQ(nearest_rows({rows, 2}, {0}, 9)[0].size(), 4u);
}

TEST(FeatureMaps, CodesGiveCosinesAndTellHowExactTheyAre) {
  const std::vector<float> rows = drawn(300, {3, 1, 5, 0.5, 2, 1, 1, 1});
  for (const int64_t width : {8, 3}) {
    const CosineCodes codes = cosine_codes({rows, 8}, width);
    ASSERT_EQ(codes.width, width);
    double most = 0, sum = 0;
    for (int64_t checked = 0; checked < codes.checked; ++checked) {
      const int64_t i = checked * 300 / codes.checked;
      const std::vector<float> cosines = cosines_to({rows, 8}, i);
      for (int64_t j = 0; j < 300; ++j) {
        int dot = 0;
        for (int64_t k = 0; k < width; ++k)
          dot += codes.codes_NK[static_cast<size_t>(i * width + k)] * codes.codes_NK[static_cast<size_t>(j * width + k)];
        const double error = std::abs(codes.scale * codes.scale * dot - static_cast<double>(cosines[static_cast<size_t>(j)]));
        most = std::max(most, error), sum += error;
      }
    }
    EXPECT_NEAR(codes.most_error, most, 1e-6);
    EXPECT_NEAR(codes.mean_error, sum / (300.0 * static_cast<double>(codes.checked)), 1e-6);
    EXPECT_EQ(most > 0.04, width < 8) << "what is left out is told, here " << most;
  }
}

}  // namespace
}  // namespace flowrun
