#include "nodes/lib/tensor/model/resnet.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <fstream>
#include <gmock/gmock.h>
#include <set>

#include "graph/text/error.h"
#include "nodes/lib/tensor/model/mlp_head.h"
#include "nodes/lib/tensor/model/norm_passes.h"
#include "tests/support/torch_reference.h"

namespace flowrun {
namespace {

using model::NormPass, model::ResNet, model::ResNetConfig;

const std::map<std::string, ResNetConfig> kinds = {
    {"basic", {.blocks = {1, 2, 1, 1}, .bottleneck = false}},
    {"bottleneck", {.blocks = {2, 1, 1, 1}, .bottleneck = true}},
    {"small", {.blocks = {1, 1, 1, 1}, .bottleneck = false, .small_stem = true}},
};

void fill(ResNet& net, const test::TensorMap& from) {
  net.to(at::kCPU, at::kDouble);
  for (const auto& parameter : net.parameters()) net.parameters().assign(parameter.name, from.at("p/" + parameter.name));
  for (const auto& [name, buffer] : net.buffers()) buffer.copy_(from.at("p/" + name));
}

Tensor pooled(const ResNet& net, const Tensor& images, const NormPass& norm) {
  return net.encode(images, {}, {.norm = norm, .drop_path = {}}).patch.mean(1);
}

/// A place with these tensors; skips where there is no torchvision.
class TorchvisionsResNet : public testing::Test {
 protected:
  void SetUp() override {
    std::string missing;
    folder_ = test::reference_folder(missing, "make_resnets.py");
    if (!missing.empty()) GTEST_SKIP() << missing;
  }
  std::filesystem::path folder_;
};

TEST_F(TorchvisionsResNet, GivesTheSameFeaturesMapsGradientsAndStatistics) {
  for (const auto& [kind, config] : kinds) {
    SCOPED_TRACE(kind);
    const test::TensorMap t = test::load_tensors(folder_ / (kind + ".safetensors"));
    ResNet net(config);
    fill(net, t);
    EXPECT_LT(test::relative_error(pooled(net, t.at("x0"), {}), t.at("eval")), 1e-10);
    const std::vector<Tensor> maps = net.hidden(t.at("x0"), {1, 2, 3, 4}, model::Tap::output, false);
    for (size_t stage = 0; stage < 4; ++stage) {
      EXPECT_LT(test::relative_error(maps[stage], t.at("stage" + std::to_string(stage + 1)).flatten(2).transpose(1, 2)), 1e-10);
    }
    EXPECT_EQ(net.hidden(t.at("x0"), {3}, model::Tap::output, false).size(), 1);

    net.parameters().set_trainable();
    net.norms()->collect();
    const Tensor out = pooled(net, t.at("x0"), {.measures = true, .group = 0});
    EXPECT_LT(test::relative_error(out, t.at("train")), 1e-10);
    out.mul(t.at("w")).sum().backward();
    for (const auto& parameter : net.parameters()) {
      EXPECT_LT(test::relative_error(parameter.value.grad(), t.at("g/" + parameter.name)), 1e-8) << parameter.name;
    }
    {
      const at::NoGradGuard no_grad;
      pooled(net, t.at("x2"), {.measures = true, .group = 2});  // another order in time
      pooled(net, t.at("x1"), {.measures = true, .group = 1});
    }
    net.norms()->settle(RunInfo());
    for (const auto& [name, buffer] : net.buffers()) {
      EXPECT_LT(test::max_error(buffer, t.at("b/" + name)), 1e-9 * (1 + t.at("b/" + name).abs().max().item<double>())) << name;
    }
  }
}

TEST_F(TorchvisionsResNet, HasTheSameNamesAndShapes) {
  const std::map<int64_t, int64_t> counts = {{18, 11'176'512}, {34, 21'284'672}, {50, 23'508'032}};
  for (const auto& [depth, count] : counts) {
    ResNet net(model::resnet_arch(depth));
    EXPECT_EQ(net.parameters().count(), count);
    std::set<std::string> ours, theirs;
    const auto line = [](const std::string& name, const Tensor& value) {
      return name + " [" + (value.dim() == 0 ? "" : [&] {
      std::string text;
      for (const int64_t n : value.sizes()) text += (text.empty() ? "" : ", ") + std::to_string(n);
      return text;
    }()) + "]";
    };
    for (const auto& parameter : net.parameters()) ours.insert(line(parameter.name, parameter.value));
    for (const auto& [name, buffer] : net.buffers()) ours.insert(line(name, buffer));
    std::ifstream file(folder_ / ("names_" + std::to_string(depth) + ".txt"));
    for (std::string text; std::getline(file, text);) theirs.insert(text);
    EXPECT_EQ(ours, theirs);
  }
  ResNetConfig small = model::resnet_arch(18);
  small.small_stem = true;
  EXPECT_EQ(ResNet(small).parameters().count(), 11'168'832);
}

TEST(ResNet, TellsItsShape) {
  const auto shape = [](const ResNetConfig& config) { return ResNet(config).shape(); };
  EXPECT_EQ(shape(model::resnet_arch(50)).width, 2048);
  EXPECT_EQ(shape(model::resnet_arch(50)).grid, 7);
  EXPECT_EQ(shape(model::resnet_arch(20)).width, 64);
  EXPECT_EQ(shape(model::resnet_arch(20)).grid, 8);
  ResNetConfig strided = model::resnet_arch(8);
  strided.strides = {2, 2, 2};
  EXPECT_EQ(shape(strided).grid, 4);
  EXPECT_EQ(ResNet(strided).encode(at::randn({1, 3, 32, 32}), {}, {}).patch.size(1), 16);
  EXPECT_THROW(model::resnet_arch(19), std::invalid_argument);
  strided.strides = {2, 2};
  EXPECT_THROW(ResNet{strided}, std::invalid_argument);
  EXPECT_THROW(ResNet(model::resnet_arch(8)).encode(at::randn({1, 3, 32, 32}), {.visible_BK = at::zeros({1, 2}, at::kLong)}, {}), NodeError);
  // 41 million multiplications and additions, as counted for the net of 20 layers.
  EXPECT_NEAR(ResNet(model::resnet_arch(20)).cost({.whole = true})->flops / 2, 40.8e6, 0.5e6);
  EXPECT_NEAR(ResNet(model::resnet_arch(50)).cost({.whole = true})->flops / 2, 4.09e9, 0.03e9);
}

TEST(ResNet, GivesTheMapsOfItsStages) {
  for (ResNetConfig config : {model::resnet_arch(8), model::resnet_arch(18)}) {
    SCOPED_TRACE(config.small_stem);
    config.width = 4, config.image = 64;
    ResNet net(config);
    net.parameters().initialise(1);
    const Tensor images = at::randn({2, 3, 64, 64});
    std::vector<Tensor> maps;
    const auto count = static_cast<int64_t>(config.blocks.size()) + 1;
    std::vector<int64_t> all;
    for (int64_t stage = 1; stage <= count; ++stage) all.push_back(stage);
    const model::Tokens tokens = net.encode_stages(images, {}, {.stages = all}, maps);
    const std::vector<StageShape> shapes = net.stages(64);
    ASSERT_EQ(maps.size(), all.size());
    ASSERT_EQ(shapes.size(), all.size());
    for (size_t i = 0; i < maps.size(); ++i) {
      const auto side = static_cast<int64_t>(shapes[i].side), channels = static_cast<int64_t>(shapes[i].channels);
      EXPECT_EQ(maps[i].sizes().vec(), (std::vector<int64_t>{2, channels, side, side})) << i;
      EXPECT_GE(maps[i].min().item<float>(), 0) << "behind the activation";
    }
    EXPECT_TRUE(maps.back().flatten(2).transpose(1, 2).equal(tokens.patch));
    const std::vector<Tensor> groups = net.hidden(images, {1, 2}, model::Tap::output, false);
    net.encode_stages(images, {}, {.stages = {2, 3}}, maps);
    ASSERT_EQ(maps.size(), 2);
    for (size_t i = 0; i < 2; ++i) EXPECT_TRUE(maps[i].flatten(2).transpose(1, 2).equal(groups[i]));
    std::vector<Tensor> before;
    net.encode_stages(images, {}, {.stages = {2, 3}, .before_relu = true}, before);
    ASSERT_EQ(before.size(), 2);
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_TRUE(before[i].relu().equal(maps[i]));
      EXPECT_LT(before[i].min().item<float>(), 0);
    }
  }
}

TEST(ResNet, StartsLastGainsAtZeroIfAsked) {
  ResNetConfig config = model::resnet_arch(8);
  config.zero_last = true;
  ResNet net(config);
  net.parameters().initialise(1);
  EXPECT_EQ(net.parameters().get("layer1.0.bn2.weight").abs().max().item<float>(), 0);
  EXPECT_EQ(net.parameters().get("layer1.0.bn1.weight").min().item<float>(), 1);
}

TEST(BatchNorms, TakeEachViewByItself) {
  model::MlpHead head({.in = 5, .layers = {4, 3}, .norm = model::HeadNorm::batch, .last_norm = model::LastNorm::batch_plain});
  head.parameters().initialise(2);
  head.to(at::kCPU, at::kDouble);
  std::vector<std::string> names;
  for (const auto& parameter : head.parameters()) names.push_back(parameter.name);
  EXPECT_THAT(names, testing::ElementsAre("mlp.0.weight", "mlp.1.weight", "mlp.1.bias", "mlp.3.weight"));  // no bias before a norm
  const Tensor x = at::randn({12, 5}, at::kDouble);
  const auto expected = [&](const Tensor& rows) {
    const auto& p = head.parameters();
    Tensor y = at::batch_norm(at::linear(rows, p.get("mlp.0.weight")), p.get("mlp.1.weight"), p.get("mlp.1.bias"), {}, {}, true, 0, 1e-5, false);
    return at::batch_norm(at::linear(y.relu(), p.get("mlp.3.weight")), {}, {}, {}, {}, true, 0, 1e-5, false);
  };
  const RunInfo run;
  uint64_t ledger = 0;
  const GroupContext context{run, 0, 7, 0, 0, 1, 6, 1, LedgerEntry(&ledger)};
  const auto pass = [&](const Tensor& rows, const NormPass& norm) { return head.apply(rows, norm); };
  model::collect_statistics(head);
  const Tensor out = model::for_each_view(x, 2, true, context, pass);
  for (const int64_t view : {0, 1}) EXPECT_LT(test::max_error(out.slice(0, view, 12, 2), expected(x.slice(0, view, 12, 2))), 1e-12);
  EXPECT_GT(test::max_error(out, expected(x)), 1e-3);

  // Views in their order, whichever came first; the second time nothing is left to move.
  const Tensor before = head.apply(x);
  model::settle_statistics(head, run);
  const Tensor hidden = at::linear(x, head.parameters().get("mlp.0.weight"));
  Tensor mean = at::zeros({4}, at::kDouble), variance = at::ones({4}, at::kDouble);
  for (const int64_t view : {0, 1}) {
    const Tensor rows = hidden.slice(0, view, 12, 2);
    mean = mean.mul(0.9).add(rows.mean(0), 0.1), variance = variance.mul(0.9).add(rows.var(0, /*unbiased=*/true), 0.1);
  }
  EXPECT_LT(test::max_error(head.buffers()[0], mean), 1e-12);
  EXPECT_LT(test::max_error(head.buffers()[1], variance), 1e-12);
  EXPECT_EQ(head.buffers()[2].item<int64_t>(), 2);
  const Tensor after = head.apply(x);
  EXPECT_GT(test::max_error(before, after), 1e-3);
  model::settle_statistics(head, run);
  EXPECT_EQ(test::max_error(head.apply(x), after), 0);
}

TEST(BatchNorms, TakeSplitsByLotAndPutRowsBack) {
  const Tensor x = at::arange(8, at::kDouble).unsqueeze(1);
  const RunInfo run;
  uint64_t ledger = 0;
  const GroupContext context{run, 0, 7, 0, 3, 1, 8, 1, LedgerEntry(&ledger)};
  std::vector<std::set<double>> seen;
  std::vector<uint64_t> places;
  const auto pass = [&](const Tensor& rows, const NormPass& norm) {
    places.push_back(norm.view);
    std::set<double>& part = seen.emplace_back();
    for (int64_t i = 0; i < rows.size(0); ++i) part.insert(rows[i].item<double>());
    return rows.mul(2);
  };
  EXPECT_EQ(test::max_error(model::for_each_view(x, 1, true, context, pass, {.count = 2, .shuffle = true}), x.mul(2)), 0);
  ASSERT_EQ(seen.size(), 2);
  EXPECT_THAT(places, testing::ElementsAre(0, 1));
  EXPECT_EQ(seen[0].size(), 4);
  EXPECT_NE(seen[0], (std::set<double>{0, 1, 2, 3}));
  EXPECT_THROW(model::for_each_view(x, 1, true, context, pass, {.count = 3}), NodeError);
  seen.clear();
  model::for_each_view(x, 2, true, context, pass, {.count = 2});  // two views of four pictures
  EXPECT_THAT(seen, testing::ElementsAre(std::set<double>{0, 2}, std::set<double>{4, 6}, std::set<double>{1, 3}, std::set<double>{5, 7}));
}

TEST(BatchNorms, AreRefusedForOneValue) {
  model::MlpHead head({.in = 5, .layers = {4, 3}, .norm = model::HeadNorm::batch});
  EXPECT_THROW(head.apply(at::randn({1, 5}), {.measures = true}), NodeError);
}

TEST(BatchNorms, AreCopiedAndFrozen) {
  ResNet net(model::resnet_arch(8));
  EXPECT_FALSE(model::measures(net, "auto", false));
  EXPECT_TRUE(model::measures(net, "auto", true));
  EXPECT_TRUE(model::measures(net, "batch", false));
  EXPECT_FALSE(model::measures(net, "running", true));
  net.buffers()[0].fill_(3);
  const auto copy = net.clone();
  EXPECT_EQ(copy->buffers()[0].min().item<float>(), 3);
  net.freeze();
  EXPECT_FALSE(model::measures(net, "batch", true));
}

}  // namespace
}  // namespace flowrun
