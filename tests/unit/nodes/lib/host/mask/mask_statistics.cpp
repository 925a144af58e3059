// Masks drawn by hand, with statistics counted by hand.
#include "nodes/lib/host/mask/mask_statistics.h"

#include <gmock/gmock.h>

namespace flowrun::mask {
namespace {

/// One mask on 4 x 4:  V V . .
///                     V t t .
///                     . t u u      t: region 0, u: region 1, which shares no patch with it
///                     . . u u
Masks two_regions() {
  Masks masks;
  masks.grid = 4, masks.images = 1, masks.visible_count = 3, masks.regions = 2, masks.region_size = 4;
  masks.visible = {0, 1, 4};
  masks.targets = {5, 6, 9, 10, 10, 11, 14, 15};
  return masks;
}

TEST(MaskStatistics, CountedByHand) {
  MaskStatistics statistics;
  statistics.add(two_regions());
  const MaskSummary s = statistics.summary();
  EXPECT_DOUBLE_EQ(s.seen.mean, 3.0 / 16);
  EXPECT_DOUBLE_EQ(s.target.mean, 7.0 / 16) << "a patch of two regions counts once";
  EXPECT_DOUBLE_EQ(s.adjacency, 1.0 / 7) << "only patch 5 is beside a visible one";
  // 5: 1, 6: 2, 9: 2, 10: 3, 11: 4, 14: 4, 15: 5.
  EXPECT_DOUBLE_EQ(s.distance, 21.0 / 7);
  EXPECT_THAT(s.row_visibility, testing::ElementsAre(0.5, 0.25, 0, 0));
  EXPECT_THAT(s.column_visibility, testing::ElementsAre(0.5, 0.25, 0, 0));
  ASSERT_EQ(s.sizes.size(), 1u);
  EXPECT_DOUBLE_EQ(s.sizes.at({2, 2}), 1);
  EXPECT_TRUE(s.mostly_rectangles());
}

TEST(MaskStatistics, SpreadsOverGroupsAndMasks) {
  MaskStatistics statistics;
  Masks masks = two_regions();
  statistics.add(masks);
  masks.visible_count = 1, masks.visible = {0};
  masks.targets = {5, 6, 9, 10, 5, 6, 9, 10};
  statistics.add(masks);
  const MaskSummary s = statistics.summary();
  EXPECT_DOUBLE_EQ(s.seen.mean, 2.0 / 16);
  EXPECT_DOUBLE_EQ(s.seen.sd, 1.0 / 16);
  EXPECT_DOUBLE_EQ(s.target.min, 4.0 / 16);
  EXPECT_DOUBLE_EQ(s.target.max, 7.0 / 16);
}

TEST(MaskStatistics, RegionsThatAreNoRectanglesHaveNoSize) {
  Masks masks = two_regions();
  masks.targets = {5, 6, 9, 14, 10, 11, 14, 15};
  MaskStatistics statistics;
  statistics.add(masks);
  EXPECT_DOUBLE_EQ(statistics.summary().sizes.at({2, 2}), 0.5);
  EXPECT_FALSE(statistics.summary().mostly_rectangles());
}

TEST(MaskStatistics, AMapSaysMoreThanTheLists) {
  Masks masks;
  masks.grid = 2, masks.images = 2, masks.visible_count = 1, masks.regions = 1, masks.region_size = 1;
  masks.visible = {0, 1}, masks.targets = {3, 2};
  masks.map = {0, 1, 1, 1, 0, 0, 1, 0};
  MaskStatistics statistics;
  statistics.add(masks);
  const MaskSummary s = statistics.summary();
  EXPECT_DOUBLE_EQ(s.seen.mean, 0.25) << "what all images of the group have";
  EXPECT_DOUBLE_EQ(s.target.mean, 0.5) << "three of four, and one of four";
  EXPECT_THAT(s.visibility, testing::ElementsAre(1, 0.5, 0, 0.5));
  EXPECT_DOUBLE_EQ(s.adjacency, 3.0 / 4);
  EXPECT_DOUBLE_EQ(s.distance, 5.0 / 4);
}

TEST(MaskStatistics, NothingHiddenAndOtherGrids) {
  Masks masks;
  masks.grid = 2, masks.images = 1, masks.visible_count = 4, masks.regions = 1, masks.visible = {0, 1, 2, 3};
  MaskStatistics statistics;
  statistics.add(masks);
  EXPECT_EQ(statistics.summary().adjacency, 0);
  EXPECT_EQ(statistics.summary().distance, 0);
  EXPECT_TRUE(statistics.summary().sizes.empty());
  EXPECT_THROW(statistics.add(two_regions()), std::runtime_error);
}

}  // namespace
}  // namespace flowrun::mask
