// Hidden patches: the encoder's mask token, the rows that masks choose, their losses, centers and codes.
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/tensor/loss/classification.h"
#include "nodes/lib/tensor/loss/views.h"
#include "nodes/lib/tensor/model/codebook.h"
#include "nodes/lib/tensor/model/rows.h"
#include "nodes/lib/tensor/model/vit.h"
#include "nodes/lib/tensor/target/normalised.h"
#include "nodes/lib/tensor/target/sharpen.h"
#include "nodes/lib/tensor/types/mask_rows.h"

namespace flowrun {
namespace {

Tensor wave(double c, at::IntArrayRef shape) {
  int64_t count = 1;
  for (const int64_t n : shape) count *= n;
  return at::arange(count, at::kDouble).mul(0.7).add(c).sin().reshape(shape);
}

double largest(const Tensor& x) { return x.abs().max().item<double>(); }

std::unique_ptr<model::Vit> vit(bool mask_token) {
  auto made = std::make_unique<model::Vit>(model::VitConfig{.image = 8,
                                                            .patch = 4,
                                                            .width = 16,
                                                            .depth = 2,
                                                            .heads = 2,
                                                            .registers = 1,
                                                            .mask_token = mask_token,
                                                            .positions = model::Positions::learned,
                                                            .sizes = {12}});
  made->parameters().initialise(7);
  made->to(at::kCPU, at::kDouble);
  return made;
}

Tensor bools(std::initializer_list<int> values, at::IntArrayRef shape) {
  return at::tensor(std::vector<int64_t>(values.begin(), values.end())).to(at::kBool).view(shape);
}

TEST(MaskToken, HidesNothingWhereTheMapIsEmpty) {
  const auto encoder = vit(true);
  const Tensor images = wave(1, {3, 3, 8, 8});
  const model::Tokens seen = encoder->features(images), masked = encoder->masked(images, at::zeros({3, 4}, at::kBool), {});
  EXPECT_TRUE(seen.patch.equal(masked.patch));
  EXPECT_TRUE(seen.cls_B1D.equal(masked.cls_B1D));
}

/// Of a patch whose pixels embed as the mask token does: pixels of one value, and a token that is the embedding of it.
TEST(MaskToken, StandsInForTheEmbeddedPatchBeforeItsPosition) {
  const auto encoder = vit(true);
  const auto& p = encoder->parameters();
  const Tensor weight = p.get("patch_embed.proj.weight").flatten(1), bias = p.get("patch_embed.proj.bias");
  p.get("mask_token").copy_(at::linear(at::full({1, 48}, 0.3, at::kDouble), weight, bias).view({1, 1, 16}));
  for (const int64_t side : {8, 12}) {
    const int64_t grid = side / 4;
    const Tensor images = wave(2, {2, 3, side, side});
    Tensor hidden = at::zeros({2, grid * grid}, at::kBool), painted = images.clone();
    for (const auto& [image, patch] : {std::pair{0, 1}, {1, 0}, {1, 3}}) {
      hidden[image][patch] = true;
      painted.select(0, image).narrow(1, patch / grid * 4, 4).narrow(2, patch % grid * 4, 4).fill_(0.3);
    }
    const model::Tokens masked = encoder->masked(images, hidden, {}), expected = encoder->features(painted);
    EXPECT_LT(largest(masked.patch.sub(expected.patch)), 1e-12);
    EXPECT_LT(largest(masked.cls_B1D.sub(expected.cls_B1D)), 1e-12);
  }
}

TEST(MaskToken, HasAGradientOfZeroWhereNothingIsHidden) {
  const auto encoder = vit(true);
  encoder->parameters().set_trainable();
  const Tensor images = wave(1, {2, 3, 8, 8});
  encoder->masked(images, at::zeros({2, 4}, at::kBool), {}).patch.sin().sum().backward();
  EXPECT_EQ(largest(encoder->parameters().get("mask_token").grad()), 0);
  encoder->masked(images, bools({0, 1, 0, 0, 0, 0, 0, 0}, {2, 4}), {}).patch.sin().sum().backward();
  EXPECT_GT(largest(encoder->parameters().get("mask_token").grad()), 1e-4);
}

TEST(MaskToken, SeveralMasksOfAnImageAreRowsSideBySide) {
  const auto encoder = vit(true);
  const Tensor images = wave(1, {2, 3, 8, 8}), maps = bools({1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}, {4, 4});
  const Tensor all = encoder->masked(images, maps, {}).patch;
  for (int64_t row = 0; row < 4; ++row) {
    const Tensor one = encoder->masked(images.narrow(0, row / 2, 1), maps.narrow(0, row, 1), {}).patch;
    EXPECT_LT(largest(all.narrow(0, row, 1).sub(one)), 1e-12);
  }
}

TEST(MaskToken, IsRefusedWhereThereIsNone) {
  const Tensor images = wave(1, {2, 3, 8, 8});
  EXPECT_THROW(vit(false)->masked(images, at::zeros({2, 4}, at::kBool), {}), std::invalid_argument);
  EXPECT_THROW(vit(true)->masked(images, at::zeros({2, 9}, at::kBool), {}), std::invalid_argument);
  EXPECT_THROW(vit(true)->masked(images, at::zeros({3, 4}, at::kBool), {}), std::invalid_argument);
}

DeviceMasks masks(const Masks& host) {
  DeviceMasks out;
  std::vector<int64_t> ordered;
  out.hidden = host.order(ordered);
  out.ordered_n = at::tensor(ordered);
  out.grid = host.grid, out.repeats = host.repeats;
  return out;
}

TEST(HiddenRows, AreThoseOfTheMapOrOfTheListWhereItIsWhole) {
  Masks host;
  host.grid = 2, host.images = 2, host.repeats = 1, host.visible_count = 2, host.regions = 1, host.region_size = 2;
  host.visible = {0, 3, 1, 2}, host.targets = {1, 2, 0, 3};
  DeviceMasks made = masks(host);
  EXPECT_TRUE(made.hidden_n().equal(at::tensor({1, 2, 4, 7}, at::kLong)));
  EXPECT_TRUE(made.visible_n().equal(at::tensor({0, 3, 5, 6}, at::kLong)));
  EXPECT_TRUE(made.hidden_BN().equal(bools({0, 1, 1, 0, 1, 0, 0, 1}, {2, 4})));
  EXPECT_EQ(host.hidden_of_each(), 2);
  host.map = {0, 0, 0, 0, 1, 1, 1, 0};  // unequal counts: the lists are cut
  made = masks(host);
  EXPECT_TRUE(made.hidden_n().equal(at::tensor({4, 5, 6}, at::kLong)));
  EXPECT_EQ(host.hidden_of_each(), 1.5);
}

TEST(HiddenRows, OfSeveralMasksAreThoseOfTheirImage) {
  Masks host;
  host.grid = 2, host.images = 2, host.repeats = 2;
  host.map = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
  TargetRows rows;
  rows.rows = "hidden";
  const Tensor index = rows.index(masks(host));
  EXPECT_TRUE(index.equal(at::tensor({0, 1, 6, 7}, at::kLong)));
  const Tensor taps = wave(1, {2, 5, 3}).narrow(1, 1, 4);  // behind a class token
  const Tensor chosen = mim::hidden_targets({taps, taps.mul(2)}, index, {.zscore = {.over = mim::Over::none}});
  ASSERT_EQ(chosen.sizes().vec(), (std::vector<int64_t>{1, 1, 4, 6}));
  EXPECT_TRUE(chosen[0][0][2].equal(at::cat({taps[1][2], taps[1][2].mul(2)})));
}

TEST(HiddenRows, AreStandardisedAsTargetsOfRegionsAre) {
  const Tensor taps = wave(3, {2, 4, 6}), index = at::tensor({1, 2, 4, 7}, at::kLong), regions = at::tensor({1, 2, 0, 3}, at::kLong).view({2, 1, 2});
  for (const mim::Over over : {mim::Over::features, mim::Over::tokens, mim::Over::none}) {
    for (const mim::Merge merge : {mim::Merge::concat, mim::Merge::mean}) {
      const mim::TargetOptions options{.zscore = {.over = over}, .merge = merge, .zscore_merged = merge == mim::Merge::mean};
      const Tensor one = mim::hidden_targets({taps, taps.cos()}, index, options), other = mim::hidden_targets({taps, taps.cos()}, regions, options);
      EXPECT_LT(largest(one.flatten(0, 2).sub(other.flatten(0, 2))), 1e-12);
    }
  }
  const Tensor images = wave(4, {2, 3, 8, 8});
  EXPECT_TRUE(mim::pixel_targets(images, index, 4, true, {}).flatten(0, 2).equal(mim::pixel_targets(images, regions, 4, true, {}).flatten(0, 2)));
}

TEST(MaskedSoftCrossEntropy, IsTheMeanOverImagesOfTheMeanOverTheirRows) {
  const Tensor scores = wave(1, {5, 4}).set_requires_grad(true), target = wave(2, {5, 4}).softmax(-1), image = at::tensor({0, 0, 0, 2, 2}, at::kLong);
  const Tensor loss = loss::masked_soft_cross_entropy(scores, target, image, 4, 0.2);
  const Tensor each = target.mul(scores.div(0.2).log_softmax(-1)).sum(-1).neg();
  const Tensor expected = each.narrow(0, 0, 3).mean().add(each.narrow(0, 3, 2).mean()).div(4);
  EXPECT_NEAR(loss.item<double>(), expected.item<double>(), 1e-12);
  const Tensor none = loss::masked_soft_cross_entropy(scores.narrow(0, 0, 0), target.narrow(0, 0, 0), image.narrow(0, 0, 0), 4, 0.2);
  EXPECT_EQ(none.item<double>(), 0);
  none.backward();
  EXPECT_EQ(largest(scores.grad()), 0);
}

TEST(CrossEntropy, OfNoRowsIsZeroWithAGradientOfZero) {
  const Tensor scores = wave(1, {5, 4}).set_requires_grad(true);
  const Tensor none = loss::cross_entropy(scores.narrow(0, 0, 0), at::zeros({0}, at::kLong), 0);
  EXPECT_EQ(none.item<double>(), 0);
  none.backward();
  EXPECT_EQ(largest(scores.grad()), 0);
}

TEST(SumAndCount, IsOverRowsOrOverImages) {
  const Tensor scores = wave(1, {5, 4}), image = at::tensor({0, 0, 0, 2, 2}, at::kLong);
  EXPECT_LT(largest(target::sum_and_count(scores, {}, 4).sub(at::cat({scores.sum(0), at::full({1}, 5.0, at::kDouble)}))), 1e-12);
  const Tensor means = scores.narrow(0, 0, 3).mean(0).add(scores.narrow(0, 3, 2).mean(0));
  EXPECT_LT(largest(target::sum_and_count(scores, image, 4).sub(at::cat({means, at::full({1}, 2.0, at::kDouble)}))), 1e-12);
  const Tensor empty = target::sum_and_count(scores.narrow(0, 0, 0), image.narrow(0, 0, 0), 4);
  EXPECT_EQ(largest(empty), 0);
}

TEST(Codebook, NamesTheNearestCentre) {
  model::Codebook codebook(7, 5, 3);
  const Tensor rows = wave(1, {5000, 5}).to(at::kFloat);  // more than one part
  const Tensor distances = rows.unsqueeze(1).sub(codebook.centers_KF().unsqueeze(0)).square().sum(-1);
  EXPECT_TRUE(codebook.nearest(rows).equal(distances.argmin(1)));
}

/// Lloyd's steps with all rows kept: each centre is the mean of the rows it ever stood for.
TEST(Codebook, MovesCentresToTheMeanOfTheirRows) {
  model::Codebook codebook(3, 2, 5);
  std::vector<Tensor> of_each(3, at::zeros({0, 2}, at::kFloat));
  for (int step = 0; step < 4; ++step) {
    const Tensor rows = wave(step, {40, 2}).to(at::kFloat), codes = codebook.nearest(rows);
    Tensor sums = at::zeros({3, 2}, at::kDouble), counts = at::zeros({3}, at::kLong);
    for (int64_t code = 0; code < 3; ++code) {
      const Tensor mine = rows.index({codes.eq(code)});
      of_each[static_cast<size_t>(code)] = at::cat({of_each[static_cast<size_t>(code)], mine});
      sums[code] = mine.to(at::kDouble).sum(0), counts[code] = mine.size(0);
    }
    codebook.move(sums, counts, rows);
  }
  for (int64_t code = 0; code < 3; ++code) {
    const Tensor& mine = of_each[static_cast<size_t>(code)];
    if (mine.size(0) == 0) continue;
    EXPECT_LT(largest(codebook.centers_KF()[code].sub(mine.mean(0))), 1e-5);
  }
}

TEST(Codebook, PutsUnusedCentresOnRows) {
  model::Codebook codebook(4, 2, 5);
  const Tensor rows = wave(1, {8, 2}).to(at::kFloat);
  codebook.move(at::zeros({4, 2}, at::kDouble), at::zeros({4}, at::kLong), rows);
  EXPECT_TRUE(codebook.centers_KF().equal(rows.index_select(0, at::tensor({0, 2, 4, 6}, at::kLong))));
}

}  // namespace
}  // namespace flowrun
