#include "nodes/lib/tensor/metric/histogram.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <numeric>

namespace flowrun::health {
namespace {

TEST(Histogram, CountsValuesInBucketsOfTheSameWidth) {
  const io::Histogram found = histogram(at::arange(0, 61, at::kFloat).view({61, 1}));
  EXPECT_EQ(found.min, 0);
  EXPECT_EQ(found.max, 60);
  EXPECT_EQ(found.count, 61);
  EXPECT_EQ(found.sum, 1830);
  EXPECT_EQ(found.sum_of_squares, 73810);
  ASSERT_EQ(found.limits.size(), 30);
  for (size_t i = 0; i < 30; ++i) {
    EXPECT_NEAR(found.limits[i], 2.0 * static_cast<double>(i + 1), 1e-12);
    EXPECT_EQ(found.counts[i], i == 29 ? 3 : 2) << "the greatest value belongs to the last bucket";
  }
}

TEST(Histogram, EqualValuesAreOneBucket) {
  const io::Histogram found = histogram(at::full({3, 4}, -2.5, at::kFloat));
  EXPECT_THAT(found.limits, testing::ElementsAre(-2.5));
  EXPECT_THAT(found.counts, testing::ElementsAre(12));
  EXPECT_EQ(found.sum, -30);
  EXPECT_EQ(found.sum_of_squares, 75);
}

}  // namespace
}  // namespace flowrun::health
