#include "nodes/lib/tensor/model/mlp_head.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "nodes/lib/tensor/model/center.h"
#include "nodes/lib/tensor/model/queue.h"
#include "nodes/lib/tensor/model/rows.h"

namespace flowrun {
namespace {

using model::MlpHead, model::MlpHeadConfig;

Tensor wave(double c, at::IntArrayRef shape) {
  int64_t count = 1;
  for (const int64_t n : shape) count *= n;
  return at::arange(count, at::kDouble).mul(0.7).add(c).sin().reshape(shape);
}

std::unique_ptr<MlpHead> made(const MlpHeadConfig& config) {
  auto head = std::make_unique<MlpHead>(config);
  head->parameters().initialise(7);
  head->to(at::kCPU, at::kDouble);
  return head;
}

double largest(const Tensor& x) { return x.abs().max().item<double>(); }

TEST(MlpHead, IsDinosHead) {
  const auto head = made({.in = 6, .layers = {8, 8, 4}, .activation = model::HeadActivation::gelu, .prototypes = 5, .init = model::HeadInit::dino});
  const auto& p = head->parameters();
  std::vector<std::string> names;
  for (const auto& parameter : p) names.push_back(parameter.name);
  EXPECT_THAT(names,
              testing::ElementsAre("mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias", "mlp.4.weight", "mlp.4.bias", "last_layer.weight_v"));
  const Tensor x = wave(1, {3, 6});
  Tensor y = at::gelu(at::linear(x, p.get("mlp.0.weight"), p.get("mlp.0.bias")));
  y = at::gelu(at::linear(y, p.get("mlp.2.weight"), p.get("mlp.2.bias")));
  y = at::linear(y, p.get("mlp.4.weight"), p.get("mlp.4.bias"));
  const Tensor& v = p.get("last_layer.weight_v");
  const Tensor expected = y.div(y.norm(2, {-1}, true)).matmul(v.div(v.norm(2, {-1}, true)).t());
  EXPECT_LT(largest(head->apply(x).sub(expected)), 1e-12);
  EXPECT_EQ(head->out_width(), 5);
}

TEST(MlpHead, ALevelOfFrancaIsSqueezedFirstAndActivatedLast) {
  const auto head = made({.in = 6,
                          .squeeze = 3,
                          .layers = {8, 4},
                          .activation = model::HeadActivation::gelu,
                          .last_activation = true,
                          .prototypes = 5,
                          .init = model::HeadInit::dino});
  const auto& p = head->parameters();
  const auto layer = [&](const Tensor& x, const std::string& name) { return at::linear(x, p.get(name + ".weight"), p.get(name + ".bias")); };
  const Tensor x = wave(1, {3, 6});
  const Tensor y = at::gelu(layer(at::gelu(layer(layer(x, "squeeze"), "mlp.0")), "mlp.2")), &v = p.get("last_layer.weight_v");
  const Tensor expected = y.div(y.norm(2, {-1}, true)).matmul(v.div(v.norm(2, {-1}, true)).t());
  EXPECT_LT(largest(head->apply(x).sub(expected)), 1e-12);
}

TEST(MlpHead, OfPrototypesAloneScoresItsInput) {
  const auto head = made({.in = 6, .prototypes = 5, .prototype_kind = model::Prototypes::unit});
  head->constrain();
  const Tensor x = wave(1, {3, 6}), &v = head->parameters().get("last_layer.weight_v");
  EXPECT_LT(largest(head->apply(x).sub(x.div(x.norm(2, {-1}, true)).matmul(v.t()))), 1e-12);
  EXPECT_LT(largest(v.norm(2, {-1}).sub(1)), 1e-12);
  EXPECT_THROW(MlpHead({.in = 6}), std::invalid_argument);
}

TEST(MlpHead, WeightNormHasGradientsAtRightAnglesToItsRows) {
  for (const bool gain_trained : {false, true}) {
    const auto head = made({.in = 6, .layers = {4}, .prototypes = 5, .gain_trained = gain_trained});
    head->parameters().set_trainable();
    head->apply(wave(1, {3, 6})).sin().sum().backward();
    const Tensor &v = head->parameters().get("last_layer.weight_v"), &gradient = v.grad();
    EXPECT_GT(largest(gradient), 1e-3);
    EXPECT_LT(largest(gradient.mul(v).sum(-1)), 1e-12);
    EXPECT_EQ(head->parameters().find("last_layer.weight_g") != nullptr, gain_trained);
  }
}

TEST(MlpHead, TakesLayersWithoutBiasesAndUnitRows) {
  const auto head = made({.in = 4, .layers = {3}, .input_unit = true, .bias = false});
  const Tensor x = wave(1, {2, 4});
  EXPECT_LT(largest(head->apply(x).sub(head->apply(x.mul(9)))), 1e-12) << "the length of a row does not matter";
  EXPECT_EQ(head->parameters().size(), 1u);
  EXPECT_THROW(MlpHead({.in = 4}), std::invalid_argument);
}

TEST(MlpHead, CopiesAreEqual) {
  const auto head = made({.in = 4, .layers = {3, 2}, .norm = model::HeadNorm::layer, .prototypes = 6, .gain_trained = true});
  const auto copy = head->clone();
  EXPECT_LT(largest(dynamic_cast<MlpHead&>(*copy).apply(wave(1, {2, 4})).sub(head->apply(wave(1, {2, 4})))), 1e-15);
}

TEST(Center, FollowsTheMean) {
  model::Center center(3);
  const Tensor mean = wave(1, {3});
  for (int step = 0; step < 5; ++step) center.move(mean, 0.9, at::ones({1}, at::kBool));
  EXPECT_LT(largest(center.value_K().sub(mean.mul(1 - std::pow(0.9, 5)))), 1e-6);
  const Tensor before = center.value_K().clone();
  center.move(mean, 0.9, at::zeros({1}, at::kBool));
  EXPECT_TRUE(center.value_K().equal(before)) << "a step without rows";
}

TEST(Queue, HoldsTheLastRowsInOrderAcrossTheWrap) {
  model::Queue queue(5, 2, 7);
  EXPECT_LT(largest(queue.rows_Qd().norm(2, {-1}).sub(1)), 1e-6) << "random rows of length 1 at first";
  for (int k = 0; k < 4; ++k) queue.push(wave(k, {3, 2}));
  // 12 rows: places 0 to 4 hold rows 10, 11, 7, 8, 9.
  std::vector<Tensor> all;
  for (int k = 0; k < 4; ++k) {
    for (int i = 0; i < 3; ++i) all.push_back(wave(k, {3, 2}).select(0, i));
  }
  const int expected[] = {10, 11, 7, 8, 9};
  for (int place = 0; place < 5; ++place) {
    EXPECT_LT(largest(queue.rows_Qd().select(0, place).sub(all[static_cast<size_t>(expected[place])])), 1e-6) << place;
  }
  EXPECT_THROW(queue.push(wave(1, {6, 2})), std::invalid_argument);
  EXPECT_THROW(queue.push(wave(1, {2, 3})), std::invalid_argument);
}

}  // namespace
}  // namespace flowrun
