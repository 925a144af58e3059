#include "nodes/lib/tensor/model/regressor.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/relu.h>
#include <cmath>
#include <gmock/gmock.h>

namespace flowrun {
namespace {

using model::Regressor, model::RegressorConfig;

Tensor wave(double c, at::IntArrayRef shape) {
  int64_t count = 1;
  for (const int64_t n : shape) count *= n;
  return at::arange(count, at::kDouble).mul(0.7).add(c).sin().reshape(shape);
}

std::unique_ptr<Regressor> made(const RegressorConfig& config) {
  auto regressor = std::make_unique<Regressor>(config);
  regressor->parameters().initialise(7);
  regressor->to(at::kCPU, at::kDouble);
  return regressor;
}

double largest(const Tensor& x) { return x.abs().max().item<double>(); }

std::vector<std::string> names(const Regressor& of) {
  std::vector<std::string> out;
  for (const auto& parameter : of.parameters()) out.push_back(parameter.name);
  return out;
}

TEST(Regressor, IsThatOfFitNets) {
  const auto regressor = made({.stage = 3, .in = 3, .out = 5});
  EXPECT_THAT(names(*regressor), testing::ElementsAre("conv1.weight", "bn1.weight", "bn1.bias"));
  const Tensor x = wave(1, {4, 3, 2, 2});
  Tensor y = at::conv2d(x, regressor->parameters().get("conv1.weight"));
  const Tensor mean = y.mean({0, 2, 3}, /*keepdim=*/true), variance = y.sub(mean).square().mean({0, 2, 3}, /*keepdim=*/true);
  y = at::relu(y.sub(mean).div(variance.add(1e-5).sqrt()));
  EXPECT_LT(largest(regressor->apply(x, {.measures = true}).sub(y)), 1e-5);
  EXPECT_FALSE(regressor->variance_C().defined());
}

TEST(Regressor, IsThatOfVid) {
  const auto regressor = made({.stage = 2, .in = 3, .out = 5, .layers = 3, .norm = false, .relu = false, .variance = true});
  EXPECT_THAT(names(*regressor), testing::ElementsAre("conv1.weight", "conv2.weight", "conv3.weight", "conv3.bias", "scale"));
  const auto& p = regressor->parameters();
  const Tensor x = wave(1, {4, 3, 2, 2});
  Tensor y = at::relu(at::conv2d(x, p.get("conv1.weight")));
  y = at::conv2d(at::relu(at::conv2d(y, p.get("conv2.weight"))), p.get("conv3.weight"), p.get("conv3.bias"));
  EXPECT_LT(largest(regressor->apply(x, {}).sub(y)), 1e-12);
  EXPECT_LT(largest(regressor->variance_C().sub(5)), 1e-6);
  EXPECT_EQ(regressor->norms(), nullptr);
  const auto copy = regressor->clone();
  EXPECT_LT(largest(dynamic_cast<Regressor&>(*copy).apply(x, {}).sub(y)), 1e-12);
}

TEST(Regressor, NeedsChannelsAndLayers) {
  EXPECT_THROW(Regressor({.in = 3}), std::invalid_argument);
  EXPECT_THROW(Regressor({.in = 3, .out = 4, .layers = 0}), std::invalid_argument);
}

}  // namespace
}  // namespace flowrun
