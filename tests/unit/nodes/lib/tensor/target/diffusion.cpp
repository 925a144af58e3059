// Noise of a time, and mim.diffuse, which draws both.
#include "nodes/lib/tensor/target/diffusion.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>
#include <cmath>
#include <gtest/gtest.h>
#include <numbers>

#include "nodes/lib/tensor/model/random.h"
#include "nodes/lib/tensor/model/time_embedding.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/times.h"
#include "support/run_node.h"
#include "support/torch_reference.h"

namespace flowrun {
namespace {

TEST(Diffusion, SharesAreTheClosedForm) {
  for (const int64_t steps : {10, 1000}) {
    const std::vector<double> shares = mim::cosine_shares(steps);
    ASSERT_EQ(static_cast<int64_t>(shares.size()), steps);
    const auto f = [&](double i) { return std::pow(std::cos((i / static_cast<double>(steps) + 0.008) / 1.008 * std::numbers::pi / 2), 2); };
    // But for the last, whose step is cut at 0.999, the product telescopes.
    for (int64_t i = 0; i + 1 < steps; ++i) EXPECT_NEAR(shares[i], f(static_cast<double>(i + 1)) / f(0), 1e-12);
    EXPECT_NEAR(shares[steps - 1], shares[steps - 2] * 1e-3, 1e-15);
  }
  EXPECT_NEAR(mim::cosine_shares(1000)[0], 0.999958720, 1e-8);
  EXPECT_NEAR(mim::cosine_shares(1000)[499], 0.493843, 1e-6);
}

TEST(Diffusion, NoisedPicturesKeepTheirVariance) {
  const Tensor x = model::keyed_normal({3, 3, 64, 64}, 1, 5, at::kDouble), noise = model::keyed_normal({3, 3, 64, 64}, 1, 6, at::kDouble);
  const Tensor shares = at::linspace(0, 1, 3, at::kDouble), noised = mim::with_noise(x, noise, shares);
  EXPECT_TRUE(at::equal(noised[0], noise[0]));
  EXPECT_TRUE(at::equal(noised[2], x[2]));
  EXPECT_LT(test::max_error(noised[1], x[1].add(noise[1]).mul(std::sqrt(0.5))), 1e-12);
  for (int64_t image = 0; image < 3; ++image) EXPECT_NEAR(noised[image].var().item<double>(), 1, 0.05);
}

TEST(Diffusion, TimesAreSinesAndCosines) {
  const Tensor found = model::time_sinusoids(at::arange(3, at::kLong), 6, at::kDouble);
  const double frequencies[] = {1, 0.01, 0.0001};
  for (int64_t time = 0; time < 3; ++time) {
    for (int64_t i = 0; i < 3; ++i) {
      EXPECT_NEAR(found[time][i].item<double>(), std::sin(static_cast<double>(time) * frequencies[i]), 1e-12);
      EXPECT_NEAR(found[time][3 + i].item<double>(), std::cos(static_cast<double>(time) * frequencies[i]), 1e-12);
    }
  }
}

struct Noised {
  Tensor image, noise, time;
  uint64_t ledger = 0;
};

/// The node's outputs for `images` pictures, from group `group` on.
Noised diffused(uint64_t group, int64_t images, int64_t parts = 1, uint64_t epoch = 0) {
  const at::NoGradGuard no_grad;
  const auto node = test::make_node("mim.diffuse", "{}");
  const std::string name = "diffuse";
  const RunInfo run;
  node->open({run, name, 5});
  DeviceImages in{.images_BCHW = at::full({images, 3, 4, 4}, 0.5)}, out, noise;
  Times time;
  void* objects[] = {&in, &out, &noise, &time};
  const PortSlot slots[] = {{0, false}, {1, false}, {2, false}, {3, false}};
  uint64_t ledger = 0;
  node->run(Call{objects, nullptr, slots}, GroupContext{run, 7, 5, epoch, group, 1, images, 1, LedgerEntry(&ledger), parts});
  return {out.images_BCHW, noise.images_BCHW, time.values_B, ledger};
}

TEST(Diffuse, NumbersBelongToTheGroup) {
  const Noised first = diffused(3, 4), second = diffused(4, 4), both = diffused(3, 8, 2);
  EXPECT_TRUE(at::equal(diffused(3, 4).image, first.image));
  EXPECT_NE(first.ledger, second.ledger);
  EXPECT_EQ(first.ledger + second.ledger, both.ledger);
  for (const auto& [one, other, all] : {std::tuple(first.image, second.image, both.image), std::tuple(first.noise, second.noise, both.noise),
                                        std::tuple(first.time, second.time, both.time)}) {
    EXPECT_FALSE(at::equal(one, other));
    EXPECT_TRUE(at::equal(at::cat({one, other}), all)) << "a rank that takes both groups in one pass draws the same";
  }
  EXPECT_FALSE(at::equal(diffused(3, 4, 1, 1).noise, first.noise)) << "every epoch has its own";
}

TEST(Diffuse, TimesAndNoiseAreAsPromised) {
  const Noised found = diffused(0, 4000);
  EXPECT_GE(found.time.min().item<int64_t>(), 1);
  EXPECT_LE(found.time.max().item<int64_t>(), 1000);
  EXPECT_NEAR(found.time.to(at::kDouble).mean().item<double>(), 500.5, 20);
  EXPECT_NEAR(found.noise.mean().item<double>(), 0, 0.01);
  EXPECT_NEAR(found.noise.var().item<double>(), 1, 0.02);
  // The picture is 0.5 everywhere: what is left tells the share of its time.
  const std::vector<double> shares = mim::cosine_shares(1000);
  for (int64_t i = 0; i < 20; ++i) {
    const double share = shares[static_cast<size_t>(found.time[i].item<int64_t>() - 1)];
    EXPECT_LT(test::max_error(found.image[i], found.noise[i].mul(std::sqrt(1 - share)).add(0.5 * std::sqrt(share))), 1e-6);
  }
}

}  // namespace
}  // namespace flowrun
