#include "nodes/lib/tensor/metric/classify.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <set>

#include "nodes/lib/tensor/device/float32.h"
#include "support/torch_reference.h"

namespace flowrun::eval {
namespace {

/// Blobs that overlap: accuracies far from 0 and 1.
struct Blobs {
  Tensor values, labels;
  Blobs(int64_t count, int64_t width, int64_t classes, double spread, uint64_t seed) {
    values = at::zeros({count, width});
    labels = at::zeros({count}, at::kLong);
    Rng rng(seed, 1, 0, 0);
    for (int64_t i = 0; i < count; ++i) {
      labels.mutable_data_ptr<int64_t>()[i] = i % classes;
      for (int64_t d = 0; d < width; ++d) {
        const double centre = d % classes == i % classes ? 1 : 0.3;
        values.mutable_data_ptr<float>()[i * width + d] = static_cast<float>(centre + spread * rng.normal());
      }
    }
  }
};

TEST(Classify, EqualsPyTorch) {
  // More test rows than one chunk of the search.
  const Blobs train(600, 12, 5, 0.8, 1), test(1500, 12, 5, 0.8, 2);
  const Tensor chosen = rows_of_each_class(train.labels, 3, 7, 2);
  const auto folder = test::fresh_folder("flowrun-classify");
  test::save_tensors(
      folder / "case.safetensors",
      {{"train", train.values}, {"train_labels", train.labels}, {"test", test.values}, {"test_labels", test.labels}, {"chosen", chosen}},
      {{"k", "20"}, {"temperature", "0.07"}, {"lambda", "0.01"}});
  const auto ran = test::run_python("classify_check.py", (folder / "case.safetensors").string());
  std::filesystem::remove_all(folder);
  if (test::python_missing(ran)) GTEST_SKIP() << ran.output;
  double knn = 0, ridge = 0, means = 0;
  ASSERT_EQ(std::sscanf(ran.output.c_str(), "%lf %lf %lf", &knn, &ridge, &means), 3) << ran.output;
  EXPECT_GT(knn, 0.3);
  EXPECT_LT(knn, 0.95);
  // Float32 similarities may turn a vote that is nearly even.
  EXPECT_NEAR(knn_accuracy(train.values, train.labels, test.values, test.labels, {20}, 0.07)[0], knn, 2.0 / 1500);
  EXPECT_NEAR(ridge_accuracy(train.values, train.labels, test.values, test.labels, 0.01), ridge, 1e-9);
  EXPECT_GT(means, 0.3);
  EXPECT_LT(means, 0.95);
  // Of two means that are nearly as near, float32 may choose the other.
  EXPECT_NEAR(ClassMeans(train.values, train.labels, test.values, test.labels).accuracy(chosen), means, 2.0 / 1500);
}

TEST(Classify, DrawsAsManyRowsOfEachClass) {
  const Tensor labels = at::tensor({4, 0, 4, 0, 4, 0, 4, 4}, at::kLong);  // classes 1 to 3 have no rows
  const auto rows = [&](int64_t count, uint64_t seed, uint64_t draw) {
    const Tensor drawn = rows_of_each_class(labels, count, seed, draw);
    return std::vector<int64_t>(drawn.const_data_ptr<int64_t>(), drawn.const_data_ptr<int64_t>() + drawn.numel());
  };
  EXPECT_THAT(rows(3, 1, 0),
              testing::UnorderedElementsAre(1, 3, 5, testing::AnyOf(0, 2, 4, 6, 7), testing::AnyOf(0, 2, 4, 6, 7), testing::AnyOf(0, 2, 4, 6, 7)));
  std::set<std::vector<int64_t>> all;
  for (uint64_t draw = 0; draw < 50; ++draw) {
    const auto one = rows(1, 1, draw), two = rows(2, 1, draw);
    EXPECT_EQ((std::vector{two[0], two[2]}), one) << "the smaller set is a part of the larger";
    EXPECT_EQ(rows(2, 1, draw), two);
    all.insert(one);
  }
  EXPECT_EQ(all.size(), 15u) << "each of 3 x 5 pairs of rows";
  EXPECT_NE(rows(3, 1, 0), rows(3, 2, 0));
  try {
    rows(4, 1, 0);
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "class 0 has 3 images, fewer than 4");
  }
}

TEST(Classify, AClassWithoutChosenRowsIsNeverNamed) {
  const Tensor train = at::eye(3), labels = at::tensor({0, 1, 2}, at::kLong), chosen = at::tensor({0, 1}, at::kLong);
  EXPECT_NEAR(ClassMeans(train, labels, train, labels).accuracy(chosen), 2.0 / 3, 1e-12);
}

TEST(Classify, ClearClassesAreAllRight) {
  const Blobs train(200, 10, 10, 0.01, 1), test(100, 10, 10, 0.01, 2);
  EXPECT_EQ(knn_accuracy(train.values, train.labels, test.values, test.labels, {5}, 0.07)[0], 1);
  EXPECT_EQ(ridge_accuracy(train.values, train.labels, test.values, test.labels, 1e-3), 1);
}

TEST(Classify, OfEqualVotesTheSmallerClassWins) {
  const Tensor train = at::eye(2), labels = at::tensor({1, 0}, at::kLong);
  const Tensor between = at::tensor({1.0f, 1.0f}).view({1, 2});
  EXPECT_EQ(knn_accuracy(train, labels, between, at::tensor({0}, at::kLong), {2}, 0.07)[0], 1);
  EXPECT_EQ(knn_accuracy(train, labels, between, at::tensor({1}, at::kLong), {2}, 0.07)[0], 0);
}

TEST(Classify, ALowTemperatureLeavesTheVoteToTheNearest) {
  // exp(1 / temperature) is more than a double holds: votes must not all become infinite.
  const Tensor train = at::tensor({1.0f, 0.1f, 1.0f, 0.12f, 1.0f, 0.0f}).view({3, 2}), labels = at::tensor({0, 0, 1}, at::kLong);
  const Tensor on_the_third = at::tensor({1.0f, 0.0f}).view({1, 2});
  EXPECT_EQ(knn_accuracy(train, labels, on_the_third, at::tensor({1}, at::kLong), {3}, 1e-3)[0], 1);
}

TEST(Classify, LabelsThatTellNothingGiveChance) {
  const Blobs train(2000, 6, 5, 0.8, 5), test(2000, 6, 5, 0.8, 6);
  // The test rows are shuffled: whatever is predicted, each hits with a chance of one in five.
  Tensor shuffled = test.labels.clone();
  Rng rng(9, 1, 0, 0);
  for (int64_t i = 1999; i > 0; --i) {
    auto* label = shuffled.mutable_data_ptr<int64_t>();
    std::swap(label[i], label[rng.below(static_cast<uint32_t>(i) + 1)]);
  }
  // Five standard deviations of 2,000 draws at 0.2.
  EXPECT_NEAR(knn_accuracy(train.values, train.labels, test.values, shuffled, {20}, 0.07)[0], 0.2, 0.045);
  EXPECT_NEAR(ridge_accuracy(train.values, train.labels, test.values, shuffled, 1e-2), 0.2, 0.045);
}

TEST(Classify, MoreNeighboursThanImagesIsAnError) {
  const Tensor train = at::eye(2), labels = at::tensor({1, 0}, at::kLong);
  EXPECT_THROW(knn_accuracy(train, labels, train, labels, {3}, 0.07), std::invalid_argument);
}

TEST(Classify, RefusesFeaturesOfTwoWidths) {
  const Tensor train = at::zeros({4, 3}), test = at::zeros({2, 5}), labels = at::zeros({4}, at::kLong), asked = at::zeros({2}, at::kLong);
  EXPECT_THROW(knn_accuracy(train, labels, test, asked, {1}, 0.07), std::invalid_argument);
  EXPECT_THROW(ridge_accuracy(train, labels, test, asked, 0.1), std::invalid_argument);
}

/// As in a run in bf16, whose products may be TF32 on a GPU.
TEST(Classify, IsFloat32WhateverThePrecision) {
  at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
  at::autocast::set_autocast_enabled(at::kCPU, true);
  const Tensor x = at::eye(3).add(0.001);
  {
    const Float32 precision;
    EXPECT_TRUE(at::NoTF32Guard::should_disable_tf32());
    EXPECT_EQ(x.matmul(x).scalar_type(), at::kFloat);
  }
  EXPECT_FALSE(at::NoTF32Guard::should_disable_tf32());
  EXPECT_EQ(x.matmul(x).scalar_type(), at::kBFloat16);
  at::autocast::set_autocast_enabled(at::kCPU, false);
}

}  // namespace
}  // namespace flowrun::eval
