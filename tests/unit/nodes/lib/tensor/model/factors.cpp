#include "nodes/lib/tensor/model/factors.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/conv_transpose2d.h>
#include <ATen/ops/leaky_relu.h>
#include <cmath>
#include <gmock/gmock.h>

namespace flowrun {
namespace {

using model::Factors, model::FactorsConfig;

Tensor wave(double c, at::IntArrayRef shape) {
  int64_t count = 1;
  for (const int64_t n : shape) count *= n;
  return at::arange(count, at::kDouble).mul(0.7).add(c).sin().reshape(shape);
}

/// In float64, with biases that are not zero.
std::unique_ptr<Factors> made(const FactorsConfig& config) {
  auto factors = std::make_unique<Factors>(config);
  factors->parameters().initialise(7);
  factors->to(at::kCPU, at::kDouble);
  for (const auto& parameter : factors->parameters()) {
    if (parameter.name.ends_with(".bias")) factors->parameters().assign(parameter.name, wave(3, parameter.value.sizes()));
  }
  return factors;
}

double largest(const Tensor& x) { return x.abs().max().item<double>(); }

std::vector<std::string> names(const Factors& of) {
  std::vector<std::string> out;
  for (const auto& parameter : of.parameters()) out.push_back(parameter.name);
  return out;
}

Tensor convolved(const Factors& of, const std::string& name, const Tensor& x) {
  const auto& p = of.parameters();
  return at::leaky_relu(at::conv2d(x, p.get(name + ".weight"), p.get(name + ".bias"), {1, 1}, {1, 1}), 0.1);
}

/// The transposed convolution whose kernel is this one's, turned around.
Tensor transposed(const Factors& of, const std::string& name, const Tensor& x) {
  const auto& p = of.parameters();
  const Tensor kernel = p.get(name + ".weight").flip({2, 3}).transpose(0, 1);
  return at::leaky_relu(at::conv_transpose2d(x, kernel, p.get(name + ".bias"), {1, 1}, {1, 1}), 0.1);
}

TEST(Factors, OfAParaphraserGoThereAndBack) {
  const auto paraphraser = made({.stage = 4, .in = 6, .out = 3, .rebuilds = true});
  EXPECT_THAT(names(*paraphraser), testing::ElementsAre("encoder.conv1.weight", "encoder.conv1.bias", "encoder.conv2.weight", "encoder.conv2.bias",
                                                        "encoder.conv3.weight", "encoder.conv3.bias", "decoder.conv1.weight", "decoder.conv1.bias",
                                                        "decoder.conv2.weight", "decoder.conv2.bias", "decoder.conv3.weight", "decoder.conv3.bias"));
  const Tensor x = wave(1, {2, 6, 4, 3});
  Tensor y = x;
  for (const char* const layer : {"encoder.conv1", "encoder.conv2", "encoder.conv3"}) y = convolved(*paraphraser, layer, y);
  EXPECT_EQ(y.sizes().vec(), (std::vector<int64_t>{2, 3, 4, 3}));
  EXPECT_LT(largest(paraphraser->factors(x, {}).sub(y)), 1e-12);
  for (const char* const layer : {"decoder.conv1", "decoder.conv2", "decoder.conv3"}) y = transposed(*paraphraser, layer, y);
  EXPECT_EQ(y.sizes(), x.sizes());
  EXPECT_LT(largest(paraphraser->rebuilt(x, {}).sub(y)), 1e-12);
  EXPECT_EQ(paraphraser->norms(), nullptr);
  const auto copy = paraphraser->clone();
  EXPECT_LT(largest(dynamic_cast<Factors&>(*copy).rebuilt(x, {}).sub(y)), 1e-12);
}

TEST(Factors, OfATranslatorAreNormedAndHaveNoWayBack) {
  const auto translator = made({.stage = 4, .in = 4, .out = 3, .norm = true});
  EXPECT_THAT(names(*translator),
              testing::ElementsAre("encoder.conv1.weight", "encoder.bn1.weight", "encoder.bn1.bias", "encoder.conv2.weight", "encoder.bn2.weight",
                                   "encoder.bn2.bias", "encoder.conv3.weight", "encoder.bn3.weight", "encoder.bn3.bias"));
  const auto& p = translator->parameters();
  const Tensor x = wave(1, {4, 4, 3, 3});
  Tensor y = x;
  for (const std::string n : {"1", "2", "3"}) {
    y = at::conv2d(y, p.get("encoder.conv" + n + ".weight"), {}, {1, 1}, {1, 1});
    const Tensor mean = y.mean({0, 2, 3}, /*keepdim=*/true), variance = y.sub(mean).square().mean({0, 2, 3}, /*keepdim=*/true);
    y = y.sub(mean).div(variance.add(1e-5).sqrt()).add(p.get("encoder.bn" + n + ".bias").view({1, -1, 1, 1}));
    y = at::leaky_relu(y, 0.1);
  }
  EXPECT_LT(largest(translator->factors(x, {.measures = true}).sub(y)), 1e-5);
  EXPECT_THROW(translator->rebuilt(x, {.measures = true}), std::invalid_argument);
  EXPECT_THROW(Factors({.in = 3}), std::invalid_argument);
}

TEST(Factors, CostWhatTheirConvolutionsDo) {
  const Factors paraphraser({.in = 6, .out = 3, .rebuilds = true});
  EXPECT_EQ(paraphraser.cost_of(10, false).flops, 2.0 * 10 * 9 * (36 + 18 + 9));
  EXPECT_EQ(paraphraser.cost_of(10, true).flops, 2.0 * 10 * 9 * 2 * (36 + 18 + 9));
}

}  // namespace
}  // namespace flowrun
