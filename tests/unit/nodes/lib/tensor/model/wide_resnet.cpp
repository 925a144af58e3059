#include "nodes/lib/tensor/model/wide_resnet.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "graph/text/error.h"
#include "nodes/lib/tensor/model/resnet.h"
#include "tests/support/torch_reference.h"

namespace flowrun {
namespace {

using model::NormPass, model::WideResNet, model::WideResNetConfig;

const std::map<std::string, WideResNetConfig> kinds = {
    {"wide", {.depth = 16, .width = 12, .stem_width = 4}},
    {"narrow", {.depth = 10, .width = 8, .stem_width = 8}},
};

Tensor rows(const Tensor& map) { return map.flatten(2).transpose(1, 2); }

TEST(WideResNet, GivesPyTorchsFeaturesMapsGradientsAndStatistics) {
  std::string missing;
  const std::filesystem::path folder = test::reference_folder(missing, "make_wide_resnets.py");
  if (!missing.empty()) GTEST_SKIP() << missing;
  for (const auto& [kind, config] : kinds) {
    SCOPED_TRACE(kind);
    const test::TensorMap t = test::load_tensors(folder / (kind + ".safetensors"));
    WideResNet net(config);
    net.to(at::kCPU, at::kDouble);
    for (const auto& parameter : net.parameters()) net.parameters().assign(parameter.name, t.at("p/" + parameter.name));
    for (const auto& [name, buffer] : net.buffers()) buffer.copy_(t.at("p/" + name));
    std::vector<Tensor> maps;
    const auto pooled = [&](const Tensor& images, const NormPass& norm) {
      return net.encode_stages(images, {.norm = norm, .drop_path = {}}, {.stages = {1, 2, 3, 4}}, maps).patch.mean(1);
    };
    EXPECT_LT(test::relative_error(pooled(t.at("x0"), {}), t.at("eval")), 1e-10);
    ASSERT_EQ(maps.size(), 4);
    for (size_t stage = 0; stage < 4; ++stage) EXPECT_LT(test::relative_error(maps[stage], t.at("map" + std::to_string(stage))), 1e-10) << stage;
    const std::vector<Tensor> groups = net.hidden(t.at("x0"), {1, 3}, model::Tap::output, false);
    EXPECT_LT(test::relative_error(groups.at(0), rows(t.at("map1"))), 1e-10);
    EXPECT_LT(test::relative_error(groups.at(1), rows(t.at("map3"))), 1e-10);
    EXPECT_LT(test::relative_error(net.hidden(t.at("x0"), {3}, model::Tap::output, true).at(0), rows(t.at("map4"))), 1e-10);

    std::vector<Tensor> before;
    net.encode_stages(t.at("x0"), {}, {.stages = {1, 3, 4}, .before_relu = true}, before);
    ASSERT_EQ(before.size(), 3);
    EXPECT_LT(test::relative_error(before[0], t.at("map0")), 1e-10);
    EXPECT_LT(test::relative_error(before[1], t.at("normed2")), 1e-10);
    EXPECT_LT(test::relative_error(at::relu(before[2]), t.at("map4")), 1e-10);

    net.parameters().set_trainable();
    net.norms()->collect();
    const Tensor out = pooled(t.at("x0"), {.measures = true, .group = 0});
    EXPECT_LT(test::relative_error(out, t.at("train")), 1e-10);
    out.mul(t.at("w")).sum().add(maps[3].mul(t.at("v")).sum()).backward();
    for (const auto& parameter : net.parameters()) {
      EXPECT_LT(test::relative_error(parameter.value.grad(), t.at("g/" + parameter.name)), 1e-8) << parameter.name;
    }
    {
      const at::NoGradGuard no_grad;
      pooled(t.at("x2"), {.measures = true, .group = 2});  // another order in time
      pooled(t.at("x1"), {.measures = true, .group = 1});
    }
    net.norms()->settle(RunInfo());
    for (const auto& [name, buffer] : net.buffers()) EXPECT_LT(test::relative_error(buffer, t.at("b/" + name)), 1e-9) << name;
  }
}

/// As PyTorch counts them in the networks of RepDistiller, with a linear layer to 100 classes.
TEST(WideResNet, HasThePublishedNumbersOfParameters) {
  const auto count = [](int64_t depth, int64_t widen) {
    const WideResNet net({.depth = depth, .width = 16 * widen});
    return net.parameters().count() + 100 * (net.shape().width + 1);
  };
  EXPECT_EQ(count(16, 1), 180'916);
  EXPECT_EQ(count(16, 2), 703'284);
  EXPECT_EQ(count(40, 1), 569'780);
  EXPECT_EQ(count(40, 2), 2'255'156);
  const auto four_times = [](int64_t depth) {
    model::ResNetConfig config = model::resnet_arch(depth);
    config.width = 64, config.stem_width = 32;
    const model::ResNet net(config);
    return net.parameters().count() + 100 * (net.shape().width + 1);
  };
  EXPECT_EQ(four_times(8), 1'233'540);
  EXPECT_EQ(four_times(32), 7'433'860);
}

TEST(WideResNet, TellsItsShape) {
  const WideResNet net({.depth = 40, .width = 32});
  EXPECT_EQ(net.shape().width, 128);
  EXPECT_EQ(net.shape().grid, 8);
  const std::vector<StageShape> stages = net.stages(20);
  const std::vector<std::pair<double, double>> expected = {{16, 20}, {32, 20}, {64, 10}, {128, 5}};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(stages.at(i).channels, expected[i].first);
    EXPECT_EQ(stages.at(i).side, expected[i].second);
  }
  // Counted by hand, multiplications and additions of a picture of 32 pixels: a group has 109 million, the stem 0.4.
  EXPECT_NEAR(net.cost({.whole = true})->flops / 2, 327.6e6, 0.1e6);
}

TEST(WideResNet, NamesWhatIsWrong) {
  for (const int64_t depth : {4, 9, 12, 20}) EXPECT_THROW(WideResNet({.depth = depth}), std::invalid_argument) << depth;
  EXPECT_THROW(WideResNet({.width = 0}), std::invalid_argument);
  const WideResNet net({.depth = 10, .width = 4});
  EXPECT_THROW(net.encode(at::randn({1, 3, 8, 8}), {.visible_BK = at::zeros({1, 2}, at::kLong)}, {}), NodeError);
  EXPECT_THROW(net.encode(at::randn({1, 1, 8, 8}), {}, {}), NodeError);
  EXPECT_THROW(net.encode_map(at::randn({1, 16, 8, 8}), {}), NodeError);
  EXPECT_EQ(net.branches_from().stage, 0);
  EXPECT_THAT(
      [&] {
        net.hidden(at::randn({1, 3, 8, 8}), {4}, model::Tap::output, false);
      },
      testing::ThrowsMessage<NodeError>(testing::HasSubstr("stage 4 is asked for, but the network has 3")));
  EXPECT_THROW(net.hidden(at::randn({1, 3, 8, 8}), {1}, model::Tap::mlp, false), NodeError);
}

}  // namespace
}  // namespace flowrun
