#include "graph/contract/rng.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>
#include <vector>

namespace flowrun {
namespace {

// Known answers of Random123 1.14 (tests/kat_vectors, philox4x32 with 10 rounds).
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox4x32({ones, ones, ones, ones}, {ones, ones}), (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Rng, IsAddressed) {
  Rng a(1, 2, 3, 4);
  std::vector<uint32_t> drawn;
  for (int i = 0; i < 20; ++i) drawn.push_back(a.bits());
  const Rng b(1, 2, 3, 4);
  for (uint32_t i = 20; i-- > 0;) EXPECT_EQ(b.at(i), drawn[i]);
  Rng c(1, 2, 3, 4);
  c.seek(7);
  EXPECT_EQ(c.bits(), drawn[7]);
}

TEST(Rng, EveryPartOfTheAddressCounts) {
  const uint64_t high = uint64_t{1} << 40;
  std::set<uint32_t> first;
  for (const Rng& rng : {Rng(0, 0, 0, 0), Rng(1, 0, 0, 0), Rng(high, 0, 0, 0), Rng(0, 1, 0, 0), Rng(0, high, 0, 0), Rng(0, 0, 1, 0), Rng(0, 0, 2, 0),
                         Rng(0, 0, 0, 1), Rng(0, 0, 0, high)}) {
    first.insert(rng.at(0));
  }
  EXPECT_EQ(first.size(), 9u);
}

TEST(Rng, UniformHasTheRightMoments) {
  double sum = 0, squares = 0;
  constexpr int n = 100000;
  for (int i = 0; i < n; ++i) {
    const double x = Rng(5, 6, 0, static_cast<uint64_t>(i)).uniform();
    ASSERT_GE(x, 0);
    ASSERT_LT(x, 1);
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / n, 0.5, 5 * std::sqrt(1.0 / 12 / n));
  EXPECT_NEAR(squares / n, 1.0 / 3, 5 * std::sqrt(4.0 / 45 / n));
}

TEST(Rng, NormalHasTheRightMoments) {
  double sum = 0, squares = 0;
  constexpr int n = 100000;
  Rng rng(1, 1, 1, 1);
  for (int i = 0; i < n; ++i) {
    const double x = rng.normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / n, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1, 5 * std::sqrt(2.0 / n));
}

TEST(Rng, BelowIsInRangeAndEven) {
  Rng rng(9, 9, 9, 9);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(rng.below(1), 0u);
  for (const uint32_t n : {2u, 3u, 7u, 10u}) {
    std::vector<int> counts(n);
    constexpr int draws = 50000;
    for (int i = 0; i < draws; ++i) {
      const uint32_t x = rng.below(n);
      ASSERT_LT(x, n);
      ++counts[x];
    }
    double chi = 0;
    const double expected = static_cast<double>(draws) / n;
    for (const int count : counts) chi += (count - expected) * (count - expected) / expected;
    EXPECT_LT(chi, n + 6 * std::sqrt(2.0 * n)) << n;
  }
  // Where a modulo would favour the low third by half.
  int low = 0;
  for (int i = 0; i < 30000; ++i) low += rng.below(0xC0000000u) < 0x40000000u;
  EXPECT_NEAR(low, 10000, 500);
}

TEST(Permutation, IsABijection) {
  for (const uint64_t n : {1, 2, 3, 4, 5, 16, 17, 63, 64, 65, 1000, 60000}) {
    std::vector<bool> seen(n);
    const Permutation order(n, 3, 4, 5);
    for (uint64_t i = 0; i < n; ++i) {
      const uint64_t to = order(i);
      ASSERT_LT(to, n);
      ASSERT_FALSE(seen[to]) << n << " at " << i;
      seen[to] = true;
    }
  }
}

TEST(Permutation, DiffersPerEpochSeedAndStream) {
  const Permutation base(1000, 1, 1, 0);
  for (const Permutation& other : {Permutation(1000, 1, 1, 1), Permutation(1000, 2, 1, 0), Permutation(1000, 1, 2, 0)}) {
    int same = 0;
    for (uint64_t i = 0; i < 1000; ++i) same += base(i) == other(i);
    EXPECT_LT(same, 10);  // one is expected
  }
}

// Neighbours in a folder must not stay neighbours: the displacement of a random permutation is n / 3 on average.
TEST(Permutation, MovesFar) {
  constexpr int n = 10000;
  const Permutation order(n, 1, 2, 3);
  double moved = 0, steps = 0;
  for (int i = 0; i < n; ++i) {
    moved += std::abs(static_cast<double>(order(static_cast<uint64_t>(i))) - i);
    if (i > 0) steps += std::abs(static_cast<double>(order(static_cast<uint64_t>(i))) - static_cast<double>(order(static_cast<uint64_t>(i - 1))));
  }
  EXPECT_NEAR(moved / n, n / 3.0, n / 40.0);
  EXPECT_NEAR(steps / n, n / 3.0, n / 40.0);
}

}  // namespace
}  // namespace flowrun
