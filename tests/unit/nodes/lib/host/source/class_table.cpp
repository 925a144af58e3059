#include "nodes/lib/host/source/class_table.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <set>

namespace flowrun {
namespace {

using source::ClassTable;

const ClassTable table({2, 0, 1, 0, 2, 1, 0});  // class 0: 1, 3, 6; class 1: 2, 5; class 2: 0, 4

std::vector<int64_t> others(int64_t sample, uint64_t key, size_t count) {
  std::vector<int64_t> out(count);
  table.others(sample, key, out);
  return out;
}

TEST(ClassTable, DrawsOtherClassesWithoutRepetition) {
  for (uint64_t key = 0; key < 50; ++key) {
    EXPECT_THAT(others(3, key, 4), testing::UnorderedElementsAre(0, 2, 4, 5));
    EXPECT_THAT(others(2, key, 3), testing::Each(testing::AnyOf(0, 1, 3, 4, 6)));
    const std::vector<int64_t> some = others(2, key, 3);
    EXPECT_EQ(std::set<int64_t>(some.begin(), some.end()).size(), 3u);
  }
}

TEST(ClassTable, RepeatsWhereThereAreFewer) {
  const std::vector<int64_t> many = others(0, 5, 400);
  for (const int64_t sample : {1, 2, 3, 5, 6}) EXPECT_NEAR(static_cast<double>(std::count(many.begin(), many.end(), sample)), 80, 30) << sample;
  EXPECT_THAT(many, testing::Each(testing::Not(testing::AnyOf(0, 4))));
}

TEST(ClassTable, DependsOnTheKeyAlone) {
  EXPECT_EQ(others(1, 9, 4), others(1, 9, 4));
  std::set<std::vector<int64_t>> different;
  for (uint64_t key = 0; key < 50; ++key) different.insert(others(1, key, 4));
  EXPECT_GT(different.size(), 15u);  // of 24 orders
}

TEST(ClassTable, DrawsSamplesOfTheSameClass) {
  std::set<int64_t> found;
  for (uint64_t item = 0; item < 60; ++item) {
    Rng rng(1, 2, 3, item);
    found.insert(table.like(3, rng));
  }
  EXPECT_THAT(found, testing::ElementsAre(1, 3, 6));
}

TEST(ClassTable, NeedsTwoClassesAndAClassOfEachSample) {
  const auto said = [](std::vector<int> labels) -> std::string {
    try {
      ClassTable made(std::move(labels));
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(said({1, -1, 0}), "sample 1 has no class");
  EXPECT_EQ(said({1, 1}), "all samples are of one class, so there are none of another");
  EXPECT_EQ(said({}), "there are no samples with classes");
}

}  // namespace
}  // namespace flowrun
