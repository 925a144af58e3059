#include "nodes/lib/tensor/optim/shard.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <numeric>

namespace flowrun::train {
namespace {

TEST(Shard, OwnersAreBalancedAndAlwaysTheSame) {
  EXPECT_EQ(shard_owners({1, 4, 2, 4, 1}, 2), (std::vector<int>{1, 0, 0, 1, 1}));
  EXPECT_EQ(shard_owners({3, 3, 3}, 1), (std::vector<int>{0, 0, 0}));
  EXPECT_EQ(shard_owners({5}, 3), std::vector<int>{0});
  EXPECT_TRUE(shard_owners({}, 2).empty());
  std::vector<int64_t> sizes;
  for (int64_t i = 0; i < 200; ++i) sizes.push_back(1 + i * i % 97);
  for (const int64_t world : {2, 3, 8, 64}) {
    std::vector<int64_t> load(static_cast<size_t>(world));
    const std::vector<int> owners = shard_owners(sizes, world);
    for (size_t i = 0; i < sizes.size(); ++i) load.at(static_cast<size_t>(owners[i])) += sizes[i];
    // Never more than the mean and the largest, which nobody cuts.
    const int64_t all = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
    EXPECT_LE(*std::max_element(load.begin(), load.end()), all / world + 97);
  }
}

}  // namespace
}  // namespace flowrun::train
