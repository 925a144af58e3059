// Masked differences of maps and the masks of ACAM-KD, against PyTorch 2.11 in float64.
#include "nodes/lib/tensor/loss/masked.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "nodes/lib/tensor/model/map_masks.h"

namespace flowrun {
namespace {

/// sin(c + 0.7 i) at flat index i, float64.
Tensor wave(double c, at::IntArrayRef shape) {
  int64_t count = 1;
  for (const int64_t n : shape) count *= n;
  return at::arange(count, at::kDouble).mul(0.7).add(c).sin().reshape(shape);
}

Tensor mask(double c, at::IntArrayRef shape) { return wave(c, shape).mul(0.5).add(0.5); }
double value(const Tensor& x) { return x.item<double>(); }

const Tensor student = wave(40, {2, 5, 3}), teacher = wave(41, {2, 5, 3});

TEST(MaskedLoss, HasTheValuesOfTheFormulas) {
  EXPECT_NEAR(value(loss::masked_places(student, teacher, mask(42, {2, 2, 5}))), 0.47472618124777, 1e-10);
  EXPECT_NEAR(value(loss::masked_channels(student, teacher, mask(43, {2, 2, 3}))), 0.48288759263890, 1e-10);
  EXPECT_NEAR(value(loss::overlap(mask(44, {2, 3, 5}))), 0.54040404496141, 1e-10);
  EXPECT_EQ(value(loss::overlap(mask(44, {2, 1, 5}))), 0);
}

/// A model of waves.
void fill(model::MapMasks& masks) {
  masks.to(at::kCPU, at::kDouble);
  double c = 50;
  for (const char* name : {"query", "key", "value", "space", "channel"}) {
    const std::string weight = std::string(name) + ".weight", bias = std::string(name) + ".bias";
    masks.parameters().assign(weight, wave(c, masks.parameters().get(weight).sizes()));
    masks.parameters().assign(bias, wave(c + 10, masks.parameters().get(bias).sizes()));
    c += 1;
  }
}

TEST(MapMasks, AskBothMaps) {
  model::MapMasks masks({.channels = 3, .reduced = 2, .masks = 2});
  fill(masks);
  const model::MapMasks::Masks found = masks.of(student, teacher);
  EXPECT_NEAR(value(found.space_BMP.sum()), 12.55927450102199, 1e-9);
  EXPECT_NEAR(value(found.channel_BMC.sum()), 6.53488582197685, 1e-9);
  EXPECT_NEAR(value(found.space_BMP[0][1][2]), 0.87661066503389, 1e-10);
  EXPECT_NEAR(value(found.channel_BMC[1][0][2]), 0.55518226263666, 1e-10);
}

TEST(MapMasks, HaveTheGradientsOfTheLoss) {
  model::MapMasks masks({.channels = 3, .reduced = 2, .masks = 2});
  fill(masks);
  masks.parameters().set_trainable();
  const auto loss = [&](const Tensor& s) {
    const model::MapMasks::Masks of = masks.of(s, teacher);
    return loss::masked_places(s, teacher, of.space_BMP).add(loss::masked_channels(s, teacher, of.channel_BMC)).add(loss::overlap(of.space_BMP), 0.1);
  };
  const Tensor leaf = student.clone().requires_grad_(true);
  loss(leaf).backward();
  for (int64_t i = 0; i < leaf.numel(); i += 3) {
    Tensor step = at::zeros_like(student);
    step.view(-1)[i] = 1e-5;
    EXPECT_NEAR(value(leaf.grad().flatten()[i]), (value(loss(student.add(step))) - value(loss(student.sub(step)))) / 2e-5, 1e-7);
  }
  for (const auto& parameter : masks.parameters()) EXPECT_TRUE(parameter.value.grad().defined()) << parameter.name;
}

}  // namespace
}  // namespace flowrun
