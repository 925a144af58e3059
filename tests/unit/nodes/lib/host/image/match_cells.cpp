#include "nodes/lib/host/image/match_cells.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <set>

#include "nodes/lib/host/image/near.h"

namespace flowrun::image {
namespace {

Rng rng_of(uint64_t sample) { return {7, hash_text("match"), 0, sample}; }

io::Rect random_rect(Rng& rng, int width, int height) {
  const int w = 8 + static_cast<int>(rng.below(static_cast<uint32_t>(width - 8))),
            h = 8 + static_cast<int>(rng.below(static_cast<uint32_t>(height - 8)));
  return {static_cast<int>(rng.below(static_cast<uint32_t>(width - w + 1))), static_cast<int>(rng.below(static_cast<uint32_t>(height - h + 1))), w,
          h};
}

/// Where a cell lies in the picture.
std::pair<double, double> place(int64_t cell, int64_t grid, const io::Rect& rect, bool mirrored) {
  const double across = static_cast<double>(cell % grid) / static_cast<double>(grid - 1),
               down = static_cast<double>(cell / grid) / static_cast<double>(grid - 1);
  return {rect.x + (mirrored ? 1 - across : across) * (rect.width - 1), rect.y + down * (rect.height - 1)};
}

TEST(MatchCells, WeightedCellsLieAtThePlaceOfTheDrawnOne) {
  Rng rng = rng_of(1000);
  int64_t matched = 0, outside = 0;
  for (uint64_t sample = 0; sample < 200; ++sample) {
    const PlacedViews from{{random_rect(rng, 90, 70), random_rect(rng, 90, 70)}, {static_cast<uint8_t>(sample % 2), 1}};
    const PlacedViews to{{random_rect(rng, 90, 70), random_rect(rng, 90, 70), random_rect(rng, 90, 70)},
                         {0, 1, static_cast<uint8_t>(sample / 2 % 2)}};
    const Matches matches = match_cells(from, to, {.from_grid = 6, .to_grid = 14, .window = 2}, rng_of(sample));
    ASSERT_EQ(matches.layout.rows, 9);
    ASSERT_THAT(matches.layout.from_view, testing::ElementsAre(0, 0, 0, 1, 1, 1));
    ASSERT_THAT(matches.layout.to_view, testing::ElementsAre(0, 1, 2, 0, 1, 2));
    for (size_t i = 0; i < matches.from.size(); ++i) {
      const size_t pair = i / 9, f = pair / 3, t = pair % 3;
      const auto [x, y] = place(matches.from[i], 6, from.rects[f], from.mirrored[f] != 0);
      const io::Rect& rect = to.rects[t];
      const bool inside = x > rect.x && x < rect.x + rect.width - 1 && y > rect.y && y < rect.y + rect.height - 1;
      ASSERT_EQ(matches.valid[i] != 0, inside);
      double weight = 0, there_x = 0, there_y = 0;
      for (size_t corner = 4 * i; corner < 4 * i + 4; ++corner) {
        const auto [cx, cy] = place(matches.to[corner], 14, rect, to.mirrored[t] != 0);
        weight += matches.weights[corner], there_x += matches.weights[corner] * cx, there_y += matches.weights[corner] * cy;
      }
      (inside ? matched : outside) += 1;
      if (!inside) continue;
      EXPECT_NEAR(weight, 1, 1e-6);
      EXPECT_NEAR(there_x, x, 1e-4);
      EXPECT_NEAR(there_y, y, 1e-4);
    }
  }
  EXPECT_GT(matched, 1000);
  EXPECT_GT(outside, 1000);
}

TEST(MatchCells, OneCellOfEachWindowInACorner) {
  std::set<int64_t> seen;
  const PlacedViews one{{{0, 0, 50, 50}, {5, 5, 40, 40}}, {0, 0}};
  for (uint64_t sample = 0; sample < 300; ++sample) {
    const Matches matches = match_cells(one, one, {.from_grid = 14, .to_grid = 14, .window = 3, .others = true}, rng_of(sample));
    ASSERT_EQ(matches.layout.rows, 16);
    ASSERT_THAT(matches.layout.from_view, testing::ElementsAre(0, 1));
    ASSERT_THAT(matches.layout.to_view, testing::ElementsAre(1, 0));
    EXPECT_TRUE(std::equal(matches.from.begin(), matches.from.begin() + 16, matches.from.begin() + 16)) << "the same cells in both views";
    // Of 12 columns that are drawn from, 0 and 1 or 12 and 13 are left out, and likewise of the rows.
    const auto extent = std::minmax_element(matches.from.begin(), matches.from.begin() + 16);
    EXPECT_TRUE(*extent.second < 12 * 14 || *extent.first >= 2 * 14);
    seen.insert(matches.from.begin(), matches.from.begin() + 16);
  }
  EXPECT_EQ(seen.size(), 196u);
}

TEST(Pulled, OverlapsByHalfOfTheSmallerSideAndStaysInThePicture) {
  Rng rng = rng_of(5);
  int moved = 0;
  for (int i = 0; i < 2000; ++i) {
    const io::Rect rect = random_rect(rng, 90, 70), to = random_rect(rng, 90, 70), out = pulled(rect, to, 90, 70);
    EXPECT_EQ(out.width, rect.width);
    EXPECT_EQ(out.height, rect.height);
    EXPECT_TRUE(out.x >= 0 && out.y >= 0 && out.x + out.width <= 90 && out.y + out.height <= 70);
    const int across = std::min(out.x + out.width, to.x + to.width) - std::max(out.x, to.x);
    const int down = std::min(out.y + out.height, to.y + to.height) - std::max(out.y, to.y);
    EXPECT_GE(across, std::min(rect.width, to.width) / 2 - 1);
    EXPECT_GE(down, std::min(rect.height, to.height) / 2 - 1);
    const int before = std::min(rect.x + rect.width, to.x + to.width) - std::max(rect.x, to.x);
    if (before > std::min(rect.width, to.width) / 2 + 2) {
      EXPECT_EQ(out.x, rect.x) << "enough overlap already";
    }
    moved += out.x != rect.x || out.y != rect.y;
  }
  EXPECT_GT(moved, 200);
}

}  // namespace
}  // namespace flowrun::image
