#include <gmock/gmock.h>
#include <set>

#include "nodes/lib/host/types/grids.h"
#include "support/run_node.h"

namespace flowrun {
namespace {

using test::make_node, test::run_sample;

/// Cell (y, x) holds y and x.
FeatureGrid grid_of(int height, int width) {
  FeatureGrid grid;
  grid.reshape(height, width, 2);
  for (int64_t cell = 0; cell < grid.cells(); ++cell) {
    grid.at(0, cell)[0] = static_cast<float>(cell / width), grid.at(0, cell)[1] = static_cast<float>(cell % width);
  }
  grid.valid.assign(grid.valid.size(), 1);
  return grid;
}

TEST(GridCrop, PartsAreSquaresTurnedAndMirrored) {
  FeatureGrid in = grid_of(9, 12), out;
  const auto node = make_node("grid.crop", R"({"size": 4, "count": 2})");
  std::set<std::pair<int, int>> steps;  // from the first cell to the one on its right, and below
  std::set<std::pair<float, float>> corners;
  for (uint64_t sample = 0; sample < 300; ++sample) {
    run_sample(*node, {&in, &out}, sample);
    ASSERT_EQ(out.views, 2);
    for (int view = 0; view < 2; ++view) {
      const auto at = [&](int y, int x, int c) { return static_cast<int>(out.at(view, y * 4 + x)[c]); };
      const int right_y = at(0, 1, 0) - at(0, 0, 0), right_x = at(0, 1, 1) - at(0, 0, 1), down_y = at(1, 0, 0) - at(0, 0, 0),
                down_x = at(1, 0, 1) - at(0, 0, 1);
      ASSERT_EQ(std::abs(right_y) + std::abs(right_x), 1);
      ASSERT_EQ(right_y * down_y + right_x * down_x, 0) << "rows stand on columns";
      for (int y = 0; y < 4; ++y) {
        for (int x = 0; x < 4; ++x) {
          ASSERT_EQ(at(y, x, 0), at(0, 0, 0) + x * right_y + y * down_y);
          ASSERT_EQ(at(y, x, 1), at(0, 0, 1) + x * right_x + y * down_x);
        }
      }
      steps.insert({right_y * 2 + right_x, down_y * 2 + down_x});
      corners.insert({at(0, 0, 0), at(0, 0, 1)});
    }
  }
  EXPECT_EQ(steps.size(), 8u) << "all turns, mirrored and not";
  EXPECT_GT(corners.size(), 80u);
}

TEST(GridCrop, LooksForValidCellsAFewTimes) {
  FeatureGrid in = grid_of(20, 20), out;
  std::fill(in.valid.begin(), in.valid.end(), uint8_t{0});
  for (int y = 0; y < 20; ++y) std::fill_n(in.valid.begin() + y * 20, 8, uint8_t{1});
  const auto share_below = [&](int tries) {
    const auto node = make_node("grid.crop", R"({"size": 4, "min_valid": 0.25, "tries": )" + std::to_string(tries) + "}");
    int below = 0;
    for (uint64_t sample = 0; sample < 500; ++sample) {
      run_sample(*node, {&in, &out}, sample);
      below += std::count(out.valid.begin(), out.valid.end(), uint8_t{1}) < 4;
    }
    return below / 500.0;
  };
  // 8 of 17 places have too few.
  const double alone = share_below(1);
  EXPECT_NEAR(alone, 9.0 / 17, 0.07);
  EXPECT_NEAR(share_below(3), alone * alone * alone, 0.05);
}

TEST(GridCrop, RefusesGridsThatAreTooSmall) {
  FeatureGrid in = grid_of(3, 9), out;
  EXPECT_THROW(run_sample(*make_node("grid.crop", R"({"size": 4})"), {&in, &out}), NodeError);
}

}  // namespace
}  // namespace flowrun
