// Acceptance of the masks: the figures of the paper's table of mask shapes and rates, and the promises of masks.
#include "nodes/lib/host/mask/multi_block.h"

#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <map>
#include <set>

namespace flowrun::mask {
namespace {

Rng group_rng(uint64_t group, uint64_t seed = 7) { return {seed, hash_text("mask"), 0, group}; }

TEST(MultiBlock, ShapesComeAsOftenAsInThePaper) {
  std::map<std::pair<int, int>, int> counts;
  constexpr int draws = 200'000;
  for (int i = 0; i < draws; ++i) {
    const BlockSizes sizes = draw_sizes({}, group_rng(static_cast<uint64_t>(i)));
    ++counts[{sizes.height, sizes.width}];
  }
  const std::map<std::pair<int, int>, double> expected = {{{5, 6}, 18.85}, {{6, 5}, 18.85}, {{5, 7}, 19.98}, {{7, 5}, 19.98}, {{6, 6}, 22.35}};
  EXPECT_EQ(counts.size(), expected.size()) << "no other shapes";
  for (const auto& [shape, percent] : expected) EXPECT_NEAR(100.0 * counts[shape] / draws, percent, 0.4) << shape.first << "x" << shape.second;
}

TEST(MultiBlock, RatesAndPlacesOfAThousandGroups) {
  constexpr int groups = 1000, images = 256, patches = 196, grid = 14;
  double target_sum = 0, target_squares = 0, seen_sum = 0, seen_squares = 0;
  std::vector<int64_t> by_row(grid), by_column(grid);
  BlockMasks masks;
  for (int g = 0; g < groups; ++g) {
    draw_masks({}, group_rng(static_cast<uint64_t>(g)), images, masks);
    const double seen = static_cast<double>(masks.visible_count) / patches;
    seen_sum += seen, seen_squares += seen * seen;
    const auto per_image = 4 * masks.region_size;
    for (int i = 0; i < images; ++i) {
      std::vector<bool> covered(patches);
      for (int64_t t = 0; t < per_image; ++t) covered[static_cast<size_t>(masks.targets[static_cast<size_t>(i * per_image + t)])] = true;
      const double rate = static_cast<double>(std::count(covered.begin(), covered.end(), true)) / patches;
      target_sum += rate, target_squares += rate * rate;
    }
    for (const int64_t p : masks.visible) ++by_row[static_cast<size_t>(p / grid)], ++by_column[static_cast<size_t>(p % grid)];
  }
  const auto deviation = [](double sum, double squares, double n) { return std::sqrt(squares / n - sum / n * sum / n); };
  EXPECT_THAT(target_sum / (groups * images), testing::AllOf(testing::Ge(0.468), testing::Le(0.480)));
  EXPECT_THAT(deviation(target_sum, target_squares, groups * images), testing::AllOf(testing::Ge(0.070), testing::Le(0.079)));
  EXPECT_THAT(seen_sum / groups, testing::AllOf(testing::Ge(0.285), testing::Le(0.300)));
  EXPECT_THAT(deviation(seen_sum, seen_squares, groups), testing::AllOf(testing::Ge(0.062), testing::Le(0.075)));
  const double all = static_cast<double>(groups) * images * grid;
  for (size_t r = 0; r < grid / 2; ++r) {
    EXPECT_NEAR(static_cast<double>(by_row[r]) / all, static_cast<double>(by_row[13 - r]) / all, 0.01) << "row " << r;
    EXPECT_NEAR(static_cast<double>(by_column[r]) / all, static_cast<double>(by_column[13 - r]) / all, 0.01) << "column " << r;
  }
  // Results of an independent simulation of the algorithm: the rim, and the middle.
  EXPECT_NEAR(static_cast<double>(by_row[0]) / all, 0.344, 0.006);
  EXPECT_NEAR(static_cast<double>(by_row[6]) / all, 0.221, 0.006);
}

TEST(MultiBlock, VisibleAndTargetsAreApartAndWellFormed) {
  for (const int grid : {6, 8, 14, 16}) {
    BlockMasks masks;
    draw_masks({.grid = grid, .min_keep = 2}, group_rng(1), 64, masks);
    ASSERT_EQ(masks.region_size, masks.sizes.height * masks.sizes.width);
    ASSERT_EQ(masks.visible.size(), 64 * masks.visible_count);
    ASSERT_EQ(masks.targets.size(), 64 * 4 * masks.region_size);
    for (int i = 0; i < 64; ++i) {
      const auto visible = masks.visible.begin() + i * masks.visible_count;
      EXPECT_TRUE(std::is_sorted(visible, visible + masks.visible_count));
      const std::set<int64_t> seen(visible, visible + masks.visible_count);
      EXPECT_EQ(static_cast<int64_t>(seen.size()), masks.visible_count);
      EXPECT_LT(*seen.rbegin(), grid * grid);
      for (int r = 0; r < 4; ++r) {
        // Every second region is turned; the rows of a region follow each other.
        const int width = r % 2 ? masks.sizes.height : masks.sizes.width;
        const int64_t* region = masks.targets.data() + (i * 4 + r) * masks.region_size;
        for (int64_t m = 0; m < masks.region_size; ++m) {
          EXPECT_FALSE(seen.contains(region[m]));
          EXPECT_EQ(region[m], region[0] + m / width * grid + m % width);
        }
      }
    }
  }
}

TEST(MultiBlock, DependOnTheAddressAlone) {
  BlockMasks a, b, other, few;
  draw_masks({}, group_rng(3), 64, a);
  draw_masks({}, group_rng(3), 64, b);
  EXPECT_EQ(a.visible, b.visible);
  EXPECT_EQ(a.targets, b.targets);
  draw_masks({}, group_rng(4), 64, other);
  EXPECT_NE(a.targets, other.targets) << "two ranks, or two groups, differ";
  // An image's regions don't depend on how many others there are.
  draw_masks({}, group_rng(3), 10, few);
  EXPECT_TRUE(std::equal(few.targets.begin(), few.targets.end(), a.targets.begin()));
}

TEST(MultiBlock, TooFewVisiblePatchesAreDrawnAgainThenAnError) {
  // On a small grid some images have fewer than 10 visible patches at first: they are drawn again.
  const MultiBlock small{.grid = 8, .min_keep = 10};
  const MultiBlock careless{.grid = 8, .min_keep = 1};
  bool redrawn = false;
  for (uint64_t g = 0; g < 50; ++g) {
    BlockMasks masks, first;
    draw_masks(small, group_rng(g), 64, masks);
    draw_masks(careless, group_rng(g), 64, first);
    EXPECT_GE(masks.visible_count, 10);
    redrawn = redrawn || first.visible_count < 10;
  }
  EXPECT_TRUE(redrawn);
  BlockMasks masks;
  const MultiBlock impossible{.grid = 8, .size_low = 0.9, .size_high = 1};
  EXPECT_THROW(draw_masks(impossible, group_rng(0), 4, masks), std::runtime_error);
}

}  // namespace
}  // namespace flowrun::mask
