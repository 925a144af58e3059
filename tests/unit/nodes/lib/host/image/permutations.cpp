#include "nodes/lib/host/image/permutations.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <numeric>
#include <set>

#include "graph/contract/rng.h"

namespace flowrun::image {
namespace {

int nearest(const std::vector<TileOrder>& orders) {
  int least = 100;
  for (size_t a = 0; a < orders.size(); ++a) {
    for (size_t b = 0; b < a; ++b) least = std::min(least, hamming_distance(orders[a], orders[b]));
  }
  return least;
}

void expect_orders(const std::vector<TileOrder>& orders, size_t count, int tiles) {
  ASSERT_EQ(orders.size(), count);
  for (TileOrder order : orders) {
    std::sort(order.begin(), order.end());
    TileOrder all(static_cast<size_t>(tiles));
    std::iota(all.begin(), all.end(), uint8_t{0});
    EXPECT_EQ(order, all);
  }
  EXPECT_EQ(std::set<TileOrder>(orders.begin(), orders.end()).size(), count) << "an order is there twice";
}

TEST(DistantOrders, OfNineTilesDifferInSevenPlaces) {
  const std::vector<TileOrder> orders = distant_orders(9, 100);
  expect_orders(orders, 100, 9);
  EXPECT_GE(nearest(orders), 7);
  EXPECT_EQ(nearest({orders.begin(), orders.begin() + 9}), 9) << "nine orders can differ in all places, as rows of a Latin square";
  EXPECT_GE(nearest({orders.begin(), orders.begin() + 15}), 8);
}

TEST(DistantOrders, AreTheSameInEveryRun) {
  const std::vector<TileOrder> hundred = distant_orders(9, 100), ten = distant_orders(9, 10);
  EXPECT_TRUE(std::equal(ten.begin(), ten.end(), hundred.begin())) << "more orders begin with the same";
  uint64_t hash = 0;
  for (const TileOrder& order : hundred) hash = hash_bytes(order.data(), order.size(), hash);
  EXPECT_EQ(hash, 2566477811922948426u) << "classes of trained heads would mean other orders";
}

TEST(DistantOrders, OfFewTilesCanBeAllAndOfManyAreDrawn) {
  const std::vector<TileOrder> all = distant_orders(4, 24);
  expect_orders(all, 24, 4);
  EXPECT_EQ(nearest({all.begin(), all.begin() + 4}), 4);
  EXPECT_EQ(nearest(all), 2);
  const std::vector<TileOrder> many = distant_orders(16, 50);
  expect_orders(many, 50, 16);
  EXPECT_GE(nearest(many), 13);
  EXPECT_THROW(distant_orders(4, 25), std::invalid_argument);
  EXPECT_EQ(count_orders(4, 100), 24);
  EXPECT_EQ(count_orders(16, 100), 100);
}

TEST(HammingDistance, CountsPlaces) {
  EXPECT_EQ(hamming_distance({0, 1, 2, 3}, {0, 1, 2, 3}), 0);
  EXPECT_EQ(hamming_distance({0, 1, 2, 3}, {1, 0, 2, 3}), 2);
  EXPECT_EQ(hamming_distance({8, 1, 2, 3, 4, 5, 6, 7, 0}, {0, 1, 2, 3, 4, 5, 6, 7, 8}), 2);
  EXPECT_EQ(hamming_distance({0, 1, 2}, {1, 2, 0}), 3);
}

}  // namespace
}  // namespace flowrun::image
