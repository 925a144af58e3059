// Heads on frozen features against PyTorch modules, in float64.
#include "nodes/lib/tensor/model/probe.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <cmath>
#include <gmock/gmock.h>

#include "nodes/lib/tensor/metric/confusion.h"
#include "nodes/lib/tensor/model/probe.h"
#include "nodes/lib/tensor/optim/head_optimizers.h"
#include "support/torch_reference.h"

namespace flowrun::model {
namespace {

constexpr int64_t kWidth = 12, kHeads = 3, kClasses = 5, kImages = 6, kGrid = 4;

Tensor normal(at::IntArrayRef shape, uint64_t item) {
  Tensor out = at::zeros(shape);
  Rng rng(1, 1, 0, item);
  for (int64_t i = 0; i < out.numel(); ++i) out.mutable_data_ptr<float>()[i] = static_cast<float>(rng.normal());
  return out;
}

ProbeConfig config(ProbeKind kind) {
  return {.kind = kind, .classes = kClasses, .width = kWidth, .attention_heads = kHeads, .lrs = {1e-3, 1e-2}, .decays = {0.0}};
}

/// Label maps of 10 x 14 pixels, some of them ignored.
Tensor maps() {
  Tensor out = at::arange(kImages * 10 * 14).mul(7).floor_divide(3).remainder(kClasses).view({kImages, 10, 14});
  out.narrow(1, 2, 3).narrow(2, 0, 5).fill_(kIgnored);
  return out;
}

class ProbeTwin : public testing::TestWithParam<const char*> {};

TEST_P(ProbeTwin, ScoresLossAndGradientsEqualPyTorch) {
  Probe probe(config(probe_kind(GetParam())));
  probe.initialise(5);
  {
    // Gains and biases that are not what they begin with, and larger weights, so that every term counts.
    const at::NoGradGuard no_grad;
    for (size_t i = 0; i < probe.parameters().size(); ++i) {
      const Tensor& value = probe.parameters()[i];
      value.mul_(5).add_(normal(value.sizes(), 100 + i), 0.1);
    }
  }
  const bool linear = probe.config().kind == ProbeKind::linear;
  const Tensor x = linear             ? normal({kImages, kWidth}, 1)
                   : probe.segments() ? normal({kImages, kGrid * kGrid, kWidth}, 2)
                                      : normal({kImages, 3 + kGrid * kGrid, kWidth}, 3);
  const Tensor labels = probe.segments() ? maps() : at::arange(kImages).remainder(kClasses);
  test::TensorMap saved = {{"x", x}, {"labels", labels}};
  const auto bare = [](const std::string& name) { return name.substr(name.find('.', name.find('.') + 1) + 1); };
  for (const size_t i : probe.indices(1)) saved[bare(probe.parameters().at(i).name)] = probe.parameters()[i].clone();
  const auto folder = test::fresh_folder("flowrun-probe");
  const auto path = folder / "case.safetensors";
  test::save_tensors(path, saved, {{"kind", GetParam()}, {"heads", std::to_string(kHeads)}});
  const auto ran = test::run_python("probe_check.py", path.string());
  if (test::python_missing(ran)) GTEST_SKIP() << ran.output;
  ASSERT_EQ(ran.status, 0) << ran.output;
  const auto reference = test::load_tensors(path.string() + ".out");
  std::filesystem::remove_all(folder);

  probe.to(at::kCPU, at::kDouble);
  probe.parameters().set_requires_grad(true);
  Tensor input = x.to(at::kDouble);
  if (linear) {
    const auto normalised = probe.normalise_by_itself(input);
    input = normalised.x_BD;
    probe.move_statistics(normalised.statistics_2D);
  }
  EXPECT_LT(test::max_error(probe.scores(1, input), reference.at("scores")), 1e-10);
  EXPECT_LT(test::max_error(probe.named(1, input, 10, 14), reference.at("named")), 0.5);
  const Tensor loss = probe.loss(1, input, labels);
  EXPECT_NEAR(loss.item<double>(), reference.at("loss").item<double>(), 1e-12);
  loss.backward();
  size_t compared = 0;
  for (const size_t i : probe.indices(1)) {
    const Parameter& parameter = probe.parameters().at(i);
    ASSERT_TRUE(parameter.value.grad().defined()) << parameter.name;
    EXPECT_LT(test::max_error(parameter.value.grad(), reference.at("gradient." + bare(parameter.name))), 1e-11) << parameter.name;
    ++compared;
  }
  EXPECT_EQ(compared, saved.size() - 2);
  for (const size_t i : probe.indices(0)) EXPECT_FALSE(probe.parameters()[i].grad().defined()) << "head 0 has a share in the loss of head 1";
  if (!linear) return;
  EXPECT_LT(test::max_error(probe.running_mean(), reference.at("mean")), 1e-12);
  EXPECT_LT(test::max_error(probe.running_variance(), reference.at("variance")), 1e-12);
  EXPECT_LT(test::max_error(probe.normalise(x.to(at::kDouble)), reference.at("normalised")), 1e-10);
}

INSTANTIATE_TEST_SUITE_P(Kinds, ProbeTwin, testing::Values("linear", "attentive", "segment_linear", "segment_block"),
                         [](const auto& info) { return std::string(info.param); });

TEST(Probe, HeadsBeginEqualAndAsTheirProtocolsSay) {
  ProbeConfig wide = config(ProbeKind::attentive);
  wide.width = 96, wide.classes = 50;
  Probe probe(wide);
  probe.initialise(1);
  const auto first = probe.indices(0), second = probe.indices(1);
  ASSERT_EQ(first.size(), second.size());
  for (size_t i = 0; i < first.size(); ++i) EXPECT_TRUE(probe.parameters()[first[i]].equal(probe.parameters()[second[i]]));
  const auto deviation = [](const Tensor& x) { return x.square().mean().sqrt().item<double>(); };
  EXPECT_NEAR(deviation(probe.parameters().get("heads.0.kv.weight")), 0.02, 5e-4);
  EXPECT_NEAR(deviation(probe.parameters().get("heads.0.mlp.fc2.weight")), 0.02 / std::sqrt(2.0), 5e-4);
  wide.kind = ProbeKind::linear;
  Probe linear(wide);
  linear.initialise(1);
  EXPECT_NEAR(deviation(linear.parameters().get("heads.1.linear.weight")), 0.01, 5e-4);
}

TEST(Probe, ASavedProbeIsRestoredWithItsStatistics) {
  Probe a(config(ProbeKind::linear)), b(config(ProbeKind::linear));
  a.initialise(1), b.initialise(2);
  a.move_statistics(a.normalise_by_itself(normal({9, kWidth}, 1).add(3)).statistics_2D);
  b.restore(a.save());
  EXPECT_TRUE(b.running_mean().equal(a.running_mean()));
  EXPECT_TRUE(b.running_variance().equal(a.running_variance()));
  EXPECT_TRUE(b.parameters()[0].equal(a.parameters()[0]));
  State torn = a.save();
  torn.erase("running_mean");
  EXPECT_THROW(b.restore(torn), std::runtime_error);
  EXPECT_THROW(a.normalise_by_itself(normal({1, kWidth}, 1)), std::invalid_argument);
}

TEST(Probe, EachHeadHasItsOwnStep) {
  // Both heads see the same gradient: what differs is rate and decay. The first step of AdamW is lr * sign(gradient).
  Probe probe(config(ProbeKind::linear));
  probe.initialise(1);
  probe.parameters().set_requires_grad(true);
  train::HeadOptimizers optimizers;
  for (int64_t head = 0; head < 2; ++head) optimizers.add(probe.parameters(), probe.indices(head), {0.9, 0.999, 1e-12});
  const Tensor before = probe.parameters().get("heads.0.linear.weight").detach().clone();
  const Tensor x = normal({8, kWidth}, 1), labels = at::arange(8).remainder(kClasses);
  for (int64_t head = 0; head < 2; ++head) probe.loss(head, x, labels).backward();
  const Tensor sign = probe.parameters().get("heads.0.linear.weight").grad().sign();
  optimizers.step({1e-3, 1e-2}, {0.0, 0.5});
  EXPECT_LT(test::max_error(probe.parameters().get("heads.0.linear.weight"), before.sub(sign, 1e-3)), 1e-6);
  EXPECT_LT(test::max_error(probe.parameters().get("heads.1.linear.weight"), before.mul(1 - 1e-2 * 0.5).sub(sign, 1e-2)), 1e-6);
  const auto state = optimizers.state();
  EXPECT_EQ(state.size(), 2u * 2 * 3) << "each head has moments of its own parameters alone";
  train::HeadOptimizers restored;
  for (int64_t head = 0; head < 2; ++head) restored.add(probe.parameters(), probe.indices(head), {});
  for (const auto& [name, value] : state) restored.restore(name, value);
  const auto again = restored.state();
  ASSERT_EQ(again.size(), state.size());
  for (size_t i = 0; i < state.size(); ++i) {
    EXPECT_EQ(again[i].first, state[i].first);
    EXPECT_TRUE(again[i].second.equal(state[i].second)) << state[i].first;
  }
  EXPECT_THROW(restored.restore("head2.heads.0.linear.weight.step", state[0].second), std::invalid_argument);
}

TEST(Confusion, ScoresOfAKnownCase) {
  const Tensor truth = at::tensor({0, 0, 1, 1, 2, 255, 255}, at::kLong), named = at::tensor({0, 1, 1, 1, 0, 2, 3}, at::kLong);
  const Tensor counts = eval::confusion(truth, named, 5);
  EXPECT_EQ(counts.sum().item<int64_t>(), 5);
  EXPECT_EQ(counts[2][0].item<int64_t>(), 1);
  // IoU: class 0 1/3, class 1 2/3, class 2 0/1; classes 3 and 4 are in neither.
  const eval::SegmentScores scores = eval::segment_scores(counts);
  EXPECT_EQ(scores.classes, 3);
  EXPECT_NEAR(scores.miou, 1.0 / 3, 1e-12);
  EXPECT_NEAR(scores.pixel_accuracy, 0.6, 1e-12);
  EXPECT_EQ(eval::segment_scores(at::zeros({5, 5}, at::kLong)).classes, 0);
}

}  // namespace
}  // namespace flowrun::model
