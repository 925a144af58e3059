// Targets, loss, schedules, optimizer and moving average against closed forms.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdexcept>

#include "nodes/lib/tensor/loss/regression.h"
#include "nodes/lib/tensor/model/transformer_predictor.h"
#include "nodes/lib/tensor/model/vit.h"
#include "nodes/lib/tensor/optim/adamw_math.h"
#include "nodes/lib/tensor/optim/schedule.h"
#include "nodes/lib/tensor/target/normalised.h"
#include "support/torch_reference.h"

namespace flowrun {
namespace {

using model::Init, model::Parameters, model::Vit;
using test::max_error;
using testing::ElementsAre;

Tensor noise(std::vector<int64_t> shape, double seed = 1) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return at::arange(count, at::kDouble).add(seed).mul(12.9898).sin().mul(43758.5453).frac().to(at::kFloat).view(shape);
}

TEST(Targets, EachSliceHasMeanZeroAndDeviationOne) {
  const Tensor targets = at::arange(12, at::kLong).view({2, 2, 3});
  const std::vector<Tensor> taps{noise({2, 12, 64}), noise({2, 12, 64}, 9).mul(5).add(3)};
  const Tensor out = mim::hidden_targets(taps, targets);
  ASSERT_EQ(out.sizes(), (std::vector<int64_t>{2, 2, 3, 128}));
  for (int64_t tap = 0; tap < 2; ++tap) {
    const Tensor slice = out.narrow(-1, 64 * tap, 64);
    EXPECT_LT(slice.mean(-1).abs().max().item<double>(), 1e-4);
    EXPECT_LT(slice.square().mean(-1).sqrt().sub(1).abs().max().item<double>(), 1e-2);
  }
  // Gathering first or standardising first is the same.
  const Tensor direct = mim::z_score(taps[1][1]).index_select(0, at::arange(6, 12, at::kLong)).view({2, 3, 64});
  EXPECT_LT(max_error(out[1].narrow(-1, 64, 64), direct), 1e-6);
}

TEST(Targets, ZScoreOptions) {
  const Tensor x = at::tensor(at::ArrayRef<double>({1.0, 3.0}), at::kDouble);
  EXPECT_NEAR(mim::z_score(x, {.eps = 0})[1].item<double>(), 1.0, 1e-12);
  EXPECT_NEAR(mim::z_score(x, {.eps = 0, .unbiased = true})[1].item<double>(), std::sqrt(0.5), 1e-12);
  EXPECT_NEAR(mim::z_score(x, {.eps = 3})[1].item<double>(), 0.5, 1e-12);
  EXPECT_EQ(mim::z_score(x.to(at::kBFloat16)).scalar_type(), at::kFloat);
  EXPECT_THROW(mim::hidden_targets({}, at::arange(1, at::kLong).view({1, 1, 1})), std::invalid_argument);
  EXPECT_THROW(mim::hidden_targets({noise({1, 4, 8})}, at::full({1, 1, 1}, 4, at::kLong)), std::out_of_range);
}

TEST(Loss, GradientWithoutForwardIsBitIdentical) {
  const Tensor target = noise({2, 2, 3, 8}, 4);
  Tensor with = noise({2, 2, 3, 8}), without = with.clone();
  with.set_requires_grad(true), without.set_requires_grad(true);
  const Tensor value = loss::value(with, target, {}), none = loss::mse_without_value(without, target);
  EXPECT_GT(value.item<double>(), 0.1);
  EXPECT_EQ(none.item<double>(), 0);
  value.mul(0.25).backward();
  none.mul(0.25).backward();
  EXPECT_TRUE(at::equal(with.grad(), without.grad()));
}

TEST(Loss, PerTapErrorsAverageToTheLoss) {
  const Tensor prediction = noise({2, 2, 3, 12}), target = noise({2, 2, 3, 12}, 4);
  const Tensor per_tap = loss::per_part(prediction, target, {.parts = 3});
  EXPECT_EQ(per_tap.numel(), 3);
  EXPECT_NEAR(per_tap.mean().item<double>(), loss::value(prediction, target, {}).item<double>(), 1e-6);
  EXPECT_NEAR(per_tap[1].item<double>(), loss::value(prediction.narrow(-1, 4, 4), target.narrow(-1, 4, 4), {}).item<double>(), 1e-6);
  EXPECT_THROW(loss::per_part(prediction, target, {.parts = 5}), std::invalid_argument);
}

TEST(Schedule, PaperValuesAtTheCorners) {
  const auto length = train::Length::of(600, 105, 625);
  EXPECT_EQ(length.total, 375'000);
  EXPECT_EQ(length.warmup, 65'625);
  const train::Warmup lr;
  EXPECT_DOUBLE_EQ(lr.at(1, length), 1e-4 + 2.9e-3 / 65'625);
  EXPECT_DOUBLE_EQ(lr.at(65'625, length), 3e-3);
  EXPECT_NEAR(lr.at((65'625 + 375'000) / 2, length), (3e-3 + 1e-4) / 2, 1e-8);
  EXPECT_DOUBLE_EQ(lr.at(375'000, length), 1e-4);
  EXPECT_DOUBLE_EQ(train::Ramp{}.at(1000, length), 0.05);
  EXPECT_DOUBLE_EQ((train::Ramp{0.9985, 0.9985, train::Shape::linear}.at(1000, length)), 0.9985);
}

TEST(Schedule, ShapesAfterTheWarmUp) {
  const train::Length length{.total = 110, .warmup = 10};
  const auto at = [&](train::Shape shape, int64_t step) { return train::Warmup{.start = 0, .max = 1, .final = 0, .shape = shape}.at(step, length); };
  for (const auto shape : {train::Shape::constant, train::Shape::linear, train::Shape::cosine}) {
    EXPECT_DOUBLE_EQ(at(shape, 5), 0.5);
    EXPECT_DOUBLE_EQ(at(shape, 10), 1);
    EXPECT_DOUBLE_EQ(at(shape, 110), shape == train::Shape::constant ? 1 : 0);
  }
  EXPECT_DOUBLE_EQ(at(train::Shape::constant, 35), 1);
  EXPECT_DOUBLE_EQ(at(train::Shape::linear, 35), 0.75);
  EXPECT_DOUBLE_EQ(at(train::Shape::cosine, 35), 0.5 * (1 + std::sqrt(0.5)));
  EXPECT_DOUBLE_EQ((train::Ramp{0.1, 0.4, train::Shape::constant}.at(50, length)), 0.1);
}

TEST(Schedule, LayersDecayTowardsTheInput) {
  const model::Vit vit({.image = 8, .patch = 4, .width = 8, .depth = 2, .heads = 1, .registers = 1, .positions = model::Positions::learned});
  const auto factors = train::layer_decay_factors(vit.parameters(), 0.5);
  const auto of = [&](const std::string& name) {
    for (size_t i = 0; i < factors.size(); ++i) {
      if (vit.parameters().at(i).name == name) return factors[i];
    }
    return -1.0;
  };
  for (const char* name : {"cls_token", "reg_token", "pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias"})
    EXPECT_EQ(of(name), 0.125) << name;
  EXPECT_EQ(of("blocks.0.attn.qkv.weight"), 0.25);
  EXPECT_EQ(of("blocks.1.mlp.fc2.bias"), 0.5);
  EXPECT_EQ(of("norm.weight"), 1);
}

TEST(Schedule, DecayAndMomentumMoveWhenTheirEndsDiffer) {
  const train::Length length{.total = 100, .warmup = 10};
  const train::Ramp decay{.start = 0.04, .final = 0.4};
  EXPECT_NEAR(decay.at(50, length), 0.22, 1e-12);
  EXPECT_NEAR(decay.at(100, length), 0.4, 1e-12);
  const train::Ramp momentum{.start = 0.996, .final = 1.0, .shape = train::Shape::linear};
  EXPECT_DOUBLE_EQ(momentum.at(1, length), 0.996);
  EXPECT_NEAR(momentum.at(51, length), 0.998, 1e-12);
  EXPECT_THROW(train::Length::of(1, 2, 10), std::invalid_argument);
  EXPECT_THROW(train::Length::of(0, 0, 10), std::invalid_argument);
  EXPECT_DOUBLE_EQ(train::Warmup{}.at(10, {.total = 10, .warmup = 10}), 3e-3);
}

Parameters one_parameter(double value, std::vector<int64_t> shape = {2, 2}) {
  Parameters parameters;
  parameters.add("weight", shape, Init::linear);
  parameters.assign("weight", at::full(shape, value));
  return parameters;
}

TEST(Ema, FollowsTheClosedForm) {
  Parameters teacher = one_parameter(1.0), student = one_parameter(3.0);
  const double momentum = 0.9985;
  for (int step = 0; step < 200; ++step) train::ema_update(teacher, student, momentum);
  const double kept = std::pow(momentum, 200);
  EXPECT_NEAR(teacher.get("weight")[0][0].item<double>(), kept * 1.0 + (1 - kept) * 3.0, 1e-5);
  Parameters stranger;
  EXPECT_THROW(train::ema_update(teacher, stranger, momentum), std::invalid_argument);
}

TEST(AdamW, UndecayedNamesAreBiasesAndNorms) {
  const Vit vit({.image = 32, .patch = 8, .width = 32, .depth = 1, .heads = 4});
  EXPECT_THAT(
      train::undecayed_names(vit.parameters()),
      ElementsAre("patch_embed.proj.bias", "blocks.0.norm1.weight", "blocks.0.norm1.bias", "blocks.0.attn.qkv.bias", "blocks.0.attn.proj.bias",
                  "blocks.0.norm2.weight", "blocks.0.norm2.bias", "blocks.0.mlp.fc1.bias", "blocks.0.mlp.fc2.bias", "norm.weight", "norm.bias"));
  const model::TransformerPredictor predictor({.grid = 4, .encoder_width = 32, .width = 16, .depth = 1, .out_width = 32});
  EXPECT_THAT(train::undecayed_names(predictor.parameters(), /*decay_tokens=*/false),
              testing::IsSupersetOf({"mask_token", "reg_token", "embed.bias", "proj.bias"}));
}

void set_gradient(Parameters& parameters, double value) {
  const Tensor& weight = parameters.get("weight");
  weight.mutable_grad() = at::full(weight.sizes(), value);
}

TEST(AdamW, FirstStepIsTheLearningRateAgainstTheSign) {
  Parameters parameters = one_parameter(1.0), idle = one_parameter(1.0);
  train::AdamW optimizer;
  optimizer.add("a", parameters);
  optimizer.add("idle", idle);
  EXPECT_THROW(optimizer.add("a", idle), std::invalid_argument);
  set_gradient(parameters, 0.5);
  optimizer.step(0.01, 0.1);
  EXPECT_NEAR(parameters.get("weight")[0][0].item<double>(), 1.0 - 0.01 * 0.1 - 0.01, 1e-6);
  EXPECT_EQ(idle.get("weight")[0][0].item<double>(), 1.0);  // no gradient: no decay either
  EXPECT_EQ(optimizer.state().size(), 3u);
  optimizer.zero_grad();
  EXPECT_FALSE(parameters.get("weight").grad().defined());
}

TEST(AdamW, ResumesFromItsStateBitForBit) {
  Parameters going = one_parameter(1.0);
  train::AdamW first;
  first.add("m", going, 0.5);
  for (const double gradient : {0.5, -0.2}) set_gradient(going, gradient), first.step(0.01, 0.1);
  Parameters resumed = one_parameter(0.0);
  resumed.copy_from(going);
  train::AdamW second;
  second.add("m", resumed, 0.5);
  for (const auto& [name, value] : first.state()) second.restore(name, value);
  set_gradient(going, 0.3), first.step(0.02, 0.1);
  set_gradient(resumed, 0.3), second.step(0.02, 0.1);
  EXPECT_TRUE(at::equal(going.get("weight"), resumed.get("weight")));
  EXPECT_THROW(second.restore("m.other.exp_avg", noise({2, 2})), std::invalid_argument);
  EXPECT_THROW(second.restore("m.weight.exp_avg", noise({3})), std::invalid_argument);
}

TEST(AdamW, GradientsOfGroupsAddUp) {
  // Two groups with weights 1/2 give the gradient of the whole batch, as the mean of means.
  const Vit reference = [] {
    Vit vit({.image = 16, .patch = 8, .width = 16, .depth = 1, .heads = 2});
    vit.parameters().initialise(1);
    vit.parameters().set_requires_grad(true);
    return vit;
  }();
  const Tensor images = noise({4, 3, 16, 16});
  const Tensor& weight = reference.parameters().get("blocks.0.mlp.fc1.weight");
  const auto loss = [&](const Tensor& x) { return reference.features(x).patch.pow(4).mean(); };
  loss(images).backward();
  const Tensor whole = weight.grad().clone();
  const_cast<Vit&>(reference).parameters().zero_grad();
  for (int64_t group = 0; group < 2; ++group) loss(images.narrow(0, 2 * group, 2)).mul(0.5).backward();
  EXPECT_LT(test::relative_error(weight.grad(), whole), 1e-5);
}

}  // namespace
}  // namespace flowrun
