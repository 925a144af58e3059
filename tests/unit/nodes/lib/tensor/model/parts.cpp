// What blocks of a transformer hand out, and parts of a residual network.
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <cmath>
#include <gtest/gtest.h>

#include "graph/text/error.h"
#include "nodes/lib/tensor/model/resnet.h"
#include "nodes/lib/tensor/model/vit.h"
#include "tests/support/torch_reference.h"

namespace flowrun {
namespace {

using model::ResNet, model::ResNetConfig, model::Vit, model::VitConfig;

std::unique_ptr<Vit> small_vit(bool recompute = false) {
  auto vit = std::make_unique<Vit>(VitConfig{.image = 16, .patch = 4, .width = 12, .depth = 3, .heads = 3, .registers = 2, .recompute = recompute});
  vit->parameters().initialise(5);
  vit->to(at::kCPU, at::kDouble);
  return vit;
}

Tensor images() { return at::randn({2, 3, 16, 16}, at::kDouble); }

TEST(Taps, AreTheOutputsAndTheAttentionOfTheirBlocks) {
  const auto vit = small_vit();
  const Tensor x = images();
  model::EncodeOptions options{.maps = true};
  options.taps = {.outputs = {1, 3}, .attention = {2}};
  const model::Tokens tokens = vit->encode(x, {}, options);
  ASSERT_EQ(tokens.outputs_BSD.size(), 2u);
  EXPECT_TRUE(tokens.outputs_BSD[0].equal(tokens.maps_BSD[0]));
  EXPECT_TRUE(tokens.outputs_BSD[1].equal(tokens.maps_BSD[2]));
  ASSERT_EQ(tokens.attention.size(), 1u);
  const auto& [query, key, value] = tokens.attention[0];
  EXPECT_EQ(query.sizes(), (std::vector<int64_t>{2, 3, 19, 4}));
  // What the block adds to the stream, from these three.
  const Tensor mixed = query.matmul(key.transpose(2, 3)).div(std::sqrt(4.0)).softmax(-1).matmul(value).transpose(1, 2).flatten(2);
  const model::Parameters& p = vit->parameters();
  const Tensor added = at::linear(mixed, p.get("blocks.1.attn.proj.weight"), p.get("blocks.1.attn.proj.bias"));
  EXPECT_LT(test::max_error(added.narrow(1, 3, 16), vit->hidden(x, {2}, model::Tap::attention)[0]), 1e-12);
  EXPECT_TRUE(vit->features(x).patch.equal(tokens.patch)) << "taps change nothing";
}

TEST(Taps, EndThePassWhereNothingMoreIsAskedFor) {
  const auto vit = small_vit();
  const Tensor x = images();
  model::EncodeOptions options;
  options.taps = {.outputs = {2}, .last = 2};
  const model::Tokens tokens = vit->encode(x, {}, options);
  EXPECT_FALSE(tokens.patch.defined());
  // Up to rounding: the last block of hidden() computes the patches alone.
  EXPECT_LT(test::max_error(tokens.outputs_BSD.at(0).narrow(1, 3, 16), vit->hidden(x, {2})[0]), 1e-12);
}

TEST(Taps, HaveTheSameGradientsWhereBlocksRunAgain) {
  const Tensor x = images();
  std::vector<Tensor> gradients[2];
  for (const bool again : {false, true}) {
    const auto vit = small_vit(again);
    vit->parameters().set_trainable();
    model::EncodeOptions options;
    options.taps = {.outputs = {1}, .attention = {3}};
    const model::Tokens tokens = vit->encode(x, {}, options);
    tokens.attention[0].value_BHSE.square().sum().add(tokens.outputs_BSD[0].sum()).add(tokens.patch.square().sum()).backward();
    for (const auto& parameter : vit->parameters()) gradients[again ? 1 : 0].push_back(parameter.value.grad());
  }
  for (size_t i = 0; i < gradients[0].size(); ++i) EXPECT_LT(test::relative_error(gradients[1][i], gradients[0][i]), 1e-12) << i;
}

void copy(ResNet& part, const ResNet& whole) {
  part.to(at::kCPU, at::kDouble);
  for (const auto& parameter : part.parameters()) part.parameters().assign(parameter.name, whole.parameters().get(parameter.name));
}

TEST(Parts, OfAResidualNetworkMakeTheWhole) {
  for (const bool bottleneck : {false, true}) {
    const ResNetConfig config{.blocks = {1, 2, 1}, .width = 4, .bottleneck = bottleneck, .small_stem = true};
    ResNet whole(config);
    whole.parameters().initialise(3);
    whole.to(at::kCPU, at::kDouble);
    ResNetConfig of_trunk = config, of_branch = config;
    of_trunk.last = 3, of_branch.first = 4;
    ResNet trunk(of_trunk), branch(of_branch);
    EXPECT_EQ(trunk.parameters().size() + branch.parameters().size(), whole.parameters().size());
    copy(trunk, whole), copy(branch, whole);
    const Tensor x = images();
    std::vector<Tensor> maps;
    trunk.encode_stages(x, {}, {.stages = {3}}, maps);
    const Tensor out = branch.encode_map(maps.at(0), {});
    EXPECT_LT(test::max_error(out.flatten(2).transpose(1, 2), whole.encode(x, {}, {}).patch), 1e-12);
    EXPECT_EQ(branch.branches_from().stage, 3);
    EXPECT_EQ(branch.branches_from().channels, static_cast<double>(maps[0].size(1)));
    EXPECT_EQ(trunk.branches_from().stage, 0);
    EXPECT_EQ(trunk.shape().width, maps[0].size(1));
    EXPECT_EQ(branch.shape().width, whole.shape().width);
    EXPECT_EQ(branch.stages(16).size(), 1u);
    EXPECT_THROW(branch.encode(x, {}, {}), NodeError);
  }
}

TEST(Parts, NeedStagesThatThereAre) {
  const auto makes = [](int64_t first, int64_t last) {
    ResNetConfig config{.blocks = {1, 1, 1}, .width = 4, .bottleneck = false, .small_stem = true};
    config.first = first, config.last = last;
    return ResNet(config).parameters().size();
  };
  EXPECT_THROW(makes(1, 1), std::invalid_argument);
  EXPECT_THROW(makes(3, 2), std::invalid_argument);
  EXPECT_THROW(makes(1, 5), std::invalid_argument);
  EXPECT_EQ(makes(2, 2) + makes(3, 3) + makes(4, 4) + 3, makes(1, 4)) << "the stem has three parameters";
}

}  // namespace
}  // namespace flowrun
