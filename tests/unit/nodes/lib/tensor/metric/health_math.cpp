#include "nodes/lib/tensor/metric/health_math.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <limits>
#include <sstream>

#include "support/torch_reference.h"

namespace flowrun::health {
namespace {

Tensor normal(at::IntArrayRef shape, uint64_t stream) {
  Tensor out = at::empty(shape, at::kFloat);
  Rng rng(3, stream, 0, 0);
  for (int64_t i = 0; i < out.numel(); ++i) out.mutable_data_ptr<float>()[i] = static_cast<float>(rng.normal());
  return out;
}

TEST(Health, EqualsNumPy) {
  // Features with a common direction and falling scales, so that no two measures agree by chance.
  const Tensor x = normal({30, 12}, 1).mul(at::arange(1, 13).reciprocal()).add(0.5);
  const Tensor prediction = normal({4, 2, 5, 6}, 2), target = normal({4, 2, 5, 6}, 3).add(prediction);
  const auto folder = test::fresh_folder("flowrun-health");
  test::save_tensors(folder / "t.safetensors", {{"x", x}, {"prediction", prediction}, {"target", target}}, {});
  const test::Ran ran = test::run_python("health_check.py", (folder / "t.safetensors").string());
  std::filesystem::remove_all(folder);
  if (test::python_missing(ran)) GTEST_SKIP() << "a Python package is missing (tools/setup --test): " << ran.output;
  ASSERT_EQ(ran.status, 0) << ran.output;
  std::istringstream expected(ran.output);
  double std = 0, rank = 0, cosine = 0, agreed = 0;
  ASSERT_TRUE(expected >> std >> rank >> cosine >> agreed) << ran.output;
  EXPECT_NEAR(mean_std(x), std, 1e-9);
  EXPECT_NEAR(effective_rank(x), rank, 1e-6);
  EXPECT_NEAR(mean_cosine(x), cosine, 1e-9);
  EXPECT_NEAR(agreement(prediction, target).item<double>(), agreed, 1e-6);
}

TEST(Health, RankOfWhatIsKnown) {
  EXPECT_NEAR(effective_rank(at::eye(10)), 10, 1e-4) << "orthogonal rows of one length";
  EXPECT_NEAR(effective_rank(at::ones({50, 8})), 1, 1e-4) << "rows that are all alike";
  EXPECT_NEAR(effective_rank(at::eye(4).repeat({5, 1})), 4, 1e-4);
  EXPECT_EQ(effective_rank(at::zeros({4, 4})), 1);
}

TEST(Health, CosineOfWhatIsKnown) {
  EXPECT_NEAR(mean_cosine(at::ones({5, 3}).mul(at::arange(1, 6).unsqueeze(1))), 1, 1e-12) << "lengths don't matter";
  EXPECT_NEAR(mean_cosine(at::eye(6)), 0, 1e-12);
  EXPECT_NEAR(mean_cosine(at::stack({at::ones({3}), at::ones({3}).neg()})), -1, 1e-12);
  EXPECT_EQ(mean_cosine(at::zeros({4, 3})), 0);
}

Values healthy() {
  Values values;
  values.std = 0.4, values.rank = 37, values.cosine = 0.2, values.most_rank = 48;
  values.agreement = 0.7, values.target_std = 0.5;
  values.blocks = {1, 4}, values.block_losses = {0.5, 0.3};
  return values;
}
constexpr Limits limits{.min_std = 0.01, .min_rank = 2, .max_cosine = 0.99, .min_target_std = 0.01, .min_loss = 1e-3};

TEST(Health, EntropiesAreSharesOfEvenOnes) {
  const Tensor p = at::tensor({0.25, 0.25, 0.25, 0.25, 1.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0}).view({3, 4});
  EXPECT_LT(entropies(p).sub(at::tensor({1.0, 0.0, 0.5})).abs().max().item<double>(), 1e-6);
}

TEST(Health, FindingsNameWhatIsWrong) {
  EXPECT_THAT(findings(healthy(), limits), testing::IsEmpty());
  EXPECT_THAT(findings({}, limits), testing::IsEmpty()) << "what is not connected is not judged";
  Values values = healthy();
  values.cosine = 0.998, values.rank = 1.3;
  EXPECT_THAT(findings(values, limits), testing::ElementsAre("features of different images are nearly equal (cosine 0.998, rank 1.3 of 48)"));
  values = healthy();
  values.std = 0.001, values.target_std = 0.002;
  EXPECT_THAT(findings(values, limits),
              testing::ElementsAre("features hardly vary over the images (std 0.001)", "targets hardly vary over the images (std 0.002)"));
  values = healthy();
  values.block_losses[1] = 4e-4;
  EXPECT_THAT(findings(values, limits), testing::ElementsAre("the target of block 4 has become constant (loss 0.0004)"));
  values = {};
  values.mean_entropy = 0.04, values.entropy = 0.03;
  constexpr Limits of_labels{
      .min_std = 0, .min_rank = 0, .max_cosine = 1, .min_target_std = 0, .min_loss = 0, .min_mean_entropy = 0.1, .max_entropy = 0.99};
  EXPECT_THAT(findings(values, of_labels), testing::ElementsAre("all images get the same soft label (entropy of their mean 0.04 of log K)"));
  values.mean_entropy = 1, values.entropy = 0.998;
  EXPECT_THAT(findings(values, of_labels), testing::ElementsAre("soft labels say nothing: they are even (entropy 0.9980 of log K)"));
  values.mean_entropy = 0.9, values.entropy = 0.4;
  EXPECT_THAT(findings(values, of_labels), testing::IsEmpty());
  values = healthy();
  values.std = std::numeric_limits<double>::quiet_NaN(), values.rank = 0;
  EXPECT_THAT(findings(values, limits), testing::ElementsAre("features or targets are not finite"));
}

}  // namespace
}  // namespace flowrun::health
