// Properties of the encoder and the predictor that hold without a reference.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/tensor.h>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdexcept>

#include "nodes/lib/tensor/kernels/kernels.h"
#include "nodes/lib/tensor/model/rows.h"
#include "nodes/lib/tensor/model/sincos.h"
#include "nodes/lib/tensor/model/transformer_predictor.h"
#include "nodes/lib/tensor/model/vit.h"
#include "support/torch_reference.h"

namespace flowrun::model {
namespace {

using test::max_error;
using testing::HasSubstr;

/// Numbers without structure, the same in every run.
Tensor noise(std::vector<int64_t> shape, double seed = 1) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return at::arange(count, at::kDouble).add(seed).mul(12.9898).sin().mul(43758.5453).frac().to(at::kFloat).view(shape);
}

Tensor indices(std::vector<int64_t> values, std::vector<int64_t> shape) { return at::tensor(at::ArrayRef<int64_t>(values), at::kLong).view(shape); }

Vit small_vit(int64_t depth = 3) {
  Vit vit({.image = 32, .patch = 8, .width = 32, .depth = depth, .heads = 4});
  vit.parameters().initialise(3);
  return vit;
}

TransformerPredictor small_predictor() {
  TransformerPredictor predictor({.grid = 4, .encoder_width = 32, .width = 16, .depth = 3, .heads = 4, .out_width = 64});
  predictor.parameters().initialise(3);
  return predictor;
}

struct PaperModel {
  const char* arch;
  int64_t taps, encoder, predictor;
};

TEST(ParameterCounts, AreThePapers) {
  for (const PaperModel& model : {PaperModel{"s", 4, 21'591'552, 4'820'352}, {"b", 4, 85'650'432, 19'225'344}, {"l", 7, 303'104'000, 35'729'408}}) {
    const VitConfig config = vit_arch(model.arch);
    EXPECT_EQ(Vit(config).parameters().count(), model.encoder) << model.arch;
    const TransformerPredictor predictor({.encoder_width = config.width, .width = config.width / 2, .out_width = model.taps * config.width});
    EXPECT_EQ(predictor.parameters().count(), model.predictor) << model.arch;
  }
  EXPECT_EQ(vit_arch("ti").width, 192);
  EXPECT_THROW(vit_arch("xl"), std::invalid_argument);
}

TEST(SinCos, MatchesEntriesWorkedOutByHand) {
  const Tensor table = sincos_table(14, 8, at::kDouble);  // two frequencies: 1 and 1/100
  const auto entry = [&](int64_t row, int64_t col, int64_t k) { return table[row * 14 + col][k].item<double>(); };
  EXPECT_DOUBLE_EQ(entry(5, 3, 0), std::sin(3.0));
  EXPECT_NEAR(entry(5, 3, 0), 0.1411200080598672, 1e-15);
  EXPECT_NEAR(entry(5, 3, 3), 0.9995500337489875, 1e-15);   // cos(0.03)
  EXPECT_NEAR(entry(5, 3, 5), 0.0499791692706783, 1e-15);   // sin(0.05)
  EXPECT_NEAR(entry(13, 0, 6), 0.9074467814501962, 1e-15);  // cos(13)
  EXPECT_EQ(entry(0, 0, 0), 0.0);
  EXPECT_EQ(entry(0, 0, 7), 1.0);
  EXPECT_EQ(sincos_table(14, 8).scalar_type(), at::kFloat);
  EXPECT_THROW(sincos_table(14, 6), std::invalid_argument);
}

TEST(Vit, PatchEmbeddingIsTheConvolution) {
  const at::NoGradGuard no_grad;
  const Vit vit({.image = 12, .patch = 4, .width = 16, .depth = 1, .heads = 2, .class_token = false, .registers = 0});
  auto& parameters = const_cast<Parameters&>(vit.parameters());
  parameters.initialise(1);
  // With the block's output layers at zero, its output is the embedding.
  for (const char* name : {"blocks.0.attn.proj.weight", "blocks.0.mlp.fc2.weight"}) parameters.get(name).zero_();
  const Tensor images = noise({2, 3, 12, 12});
  const Tensor map = at::conv2d(images, vit.parameters().get("patch_embed.proj.weight"), vit.parameters().get("patch_embed.proj.bias"), 4);
  const Tensor expected = map.flatten(2).transpose(1, 2).add(vit.positions_ND());
  EXPECT_LT(max_error(vit.hidden(images, {1})[0], expected), 1e-6);
}

TEST(Vit, StudentThatSeesEverythingIsTheTeacherAtEveryTap) {
  const at::NoGradGuard no_grad;
  const Vit teacher = small_vit();
  const Tensor images = noise({2, 3, 32, 32});
  const Tensor all_BN = at::arange(16, at::kLong).expand({2, 16});
  const auto taps = teacher.hidden(images, {1, 2, 3});
  for (int64_t depth = 1; depth <= 3; ++depth) {
    Vit student = small_vit(depth);  // keyed by name: equal weights in the blocks it has
    const Tensor normed = at::layer_norm(taps[depth - 1], {32}, {}, {}, 1e-6);
    EXPECT_LT(max_error(student.encode_visible(images, all_BN).patch, normed), 1e-5) << "tap " << depth;
  }
  EXPECT_LT(max_error(teacher.encode_visible(images, all_BN).cls_B1D, teacher.features(images).cls_B1D), 1e-5);
}

TEST(Vit, RowsOfHiddenBlocksAreThoseOfAll) {
  const at::NoGradGuard no_grad;
  const Tensor images = noise({2, 3, 32, 32}), rows = indices({15, 3, 3, 0, 1, 2}, {2, 3});
  for (const Positions positions : {Positions::sincos, Positions::rotary}) {
    Vit vit({.image = 32, .patch = 8, .width = 32, .depth = 3, .heads = 2, .positions = positions});
    vit.parameters().initialise(3);
    for (const Tap tap : {Tap::output, Tap::middle, Tap::attention, Tap::mlp}) {
      for (const bool norm_last : {false, true}) {
        const auto some = vit.hidden_rows(images, {1, 3}, tap, norm_last, rows), all = vit.hidden(images, {1, 3}, tap, norm_last);
        ASSERT_EQ(some.size(), 2u);
        for (size_t i = 0; i < 2; ++i) EXPECT_LT(max_error(some[i], gather_rows(all[i], rows)), 1e-6);
      }
    }
    EXPECT_THROW(vit.hidden_rows(images, {3}, Tap::output, false, indices({0, -1}, {2, 1})), std::out_of_range);
    EXPECT_THROW(vit.hidden_rows(images, {3}, Tap::output, false, indices({0, 16}, {2, 1})), std::out_of_range);
  }
}

/// A sum of the tokens that a pass reads, and its gradients, with stochastic depth.
std::vector<Tensor> read_with(Read read, Read given, bool recompute) {
  Vit vit({.image = 32, .patch = 8, .width = 32, .depth = 3, .heads = 4, .recompute = recompute, .drop_path = 0.5});
  vit.parameters().initialise(3);
  vit.parameters().set_trainable();
  const Tensor images = noise({3, 3, 32, 32});
  const Tokens tokens = vit.encode(images, {}, {.drop_path = vit.draw_drop_path(Rng(1, 2, 3, 4), 3), .read = given});
  const Tensor chosen = read == Read::cls ? tokens.cls_B1D : tokens.patch;
  chosen.mul(noise(chosen.sizes().vec(), 7)).sum().backward();
  std::vector<Tensor> out = {chosen.detach()};
  for (const Parameter& parameter : vit.parameters()) out.push_back(parameter.value.grad());
  return out;
}

TEST(Vit, TokensThatAreReadAreThoseOfAll) {
  for (const Read read : {Read::cls, Read::patches}) {
    for (const bool recompute : {false, true}) {
      const auto some = read_with(read, read, recompute), all = read_with(read, Read::all, recompute);
      ASSERT_EQ(some.size(), all.size());
      for (size_t i = 0; i < all.size(); ++i) {
        ASSERT_EQ(some[i].defined(), all[i].defined()) << i;
        if (all[i].defined()) {
          EXPECT_LT(test::relative_error(some[i], all[i]), 1e-5) << i;
        }
      }
    }
  }
}

TEST(Vit, CostCountsWhatThePassComputes) {
  const Vit vit(vit_arch("s"));
  const double rows = 201, width = 384, rest = 10 * width * width + 2 * rows * width;  // of a row: query, projection, MLP, and attention
  const auto flops = [&](Pass pass) {
    pass.whole = true;
    return vit.cost(pass)->flops;
  };
  const double all = flops({});
  EXPECT_NEAR(all - flops({.read = Read::cls}), 2 * 200 * rest, 1);
  EXPECT_NEAR(all - flops({.read = Read::patches}), 2 * 5 * rest, 1);
  EXPECT_NEAR(all - flops({.last_rows = 100}), 2 * 101 * rest, 1);
  EXPECT_NEAR(all - flops({.last_mlp = false}), 2 * 201 * 8 * width * width, 1);
  EXPECT_NEAR(all - flops({.blocks = 11}), 2 * 201 * (12 * width * width + 2 * rows * width), 1);
}

TEST(Vit, HiddenPatchesDoNotMatterToTheStudent) {
  const at::NoGradGuard no_grad;
  const Vit vit = small_vit();
  const Tensor visible = indices({0, 5, 10, 1, 2, 3}, {2, 3});
  const Tensor images = noise({2, 3, 32, 32});
  Tensor changed = images.clone();
  changed.narrow(2, 24, 8).fill_(9.0f);  // the last row of patches, 12 to 15
  EXPECT_TRUE(at::equal(vit.encode_visible(images, visible).patch, vit.encode_visible(changed, visible).patch));
}

TEST(Vit, RefusesWhatDoesNotFit) {
  EXPECT_THROW(Vit({.image = 30, .patch = 8}), std::invalid_argument);
  const Vit vit = small_vit();
  EXPECT_THROW(vit.features(noise({2, 3, 16, 16})), std::invalid_argument);
  EXPECT_THROW(vit.hidden(noise({1, 3, 32, 32}), {2, 1}), std::invalid_argument);
  EXPECT_THROW(vit.hidden(noise({1, 3, 32, 32}), {4}), std::invalid_argument);
  EXPECT_THROW(vit.encode_visible(noise({1, 3, 32, 32}), indices({0, 16}, {1, 2})), std::out_of_range);
  EXPECT_THROW(vit.encode_visible(noise({2, 3, 32, 32}), indices({0, 1, 2}, {3, 1})), std::invalid_argument);  // not a multiple
}

TEST(Predictor, RegionsDoNotSeeEachOther) {
  const at::NoGradGuard no_grad;
  const TransformerPredictor predictor = small_predictor();
  const Tensor cls = noise({2, 1, 32}), patch = noise({2, 3, 32}, 5), visible = indices({0, 1, 4, 2, 3, 6}, {2, 3});
  const Tensor targets = indices({5, 6, 9, 10, 12, 13, 8, 9, 14, 15, 0, 1}, {2, 3, 2});
  Tensor moved = targets.clone();
  moved.select(1, 1).copy_(indices({2, 3, 10, 11}, {2, 2}));
  const Tensor before = predictor.predict(cls, patch, visible, targets);
  const Tensor after = predictor.predict(cls, patch, visible, moved);
  EXPECT_EQ(before.sizes(), (std::vector<int64_t>{2, 3, 2, 64}));
  EXPECT_TRUE(at::equal(before.select(1, 0), after.select(1, 0)));
  EXPECT_TRUE(at::equal(before.select(1, 2), after.select(1, 2)));
  EXPECT_GT(max_error(before.select(1, 1), after.select(1, 1)), 1e-4);
}

TEST(Predictor, OrderOfVisibleTokensDoesNotMatter) {
  const at::NoGradGuard no_grad;
  const TransformerPredictor predictor = small_predictor();
  const Vit vit = small_vit();
  const Tensor images = noise({1, 3, 32, 32}), targets = indices({8, 9, 10, 11}, {1, 2, 2});
  const auto predict = [&](std::vector<int64_t> order) {
    const Tensor visible = indices(std::move(order), {1, 4});
    const auto tokens = vit.encode_visible(images, visible);
    return predictor.predict(tokens.cls_B1D, tokens.patch, visible, targets);
  };
  EXPECT_LT(max_error(predict({0, 1, 2, 3}), predict({2, 0, 3, 1})), 1e-5);
}

TEST(Predictor, NamesHeadsAndWidthThatDoNotFit) {
  try {
    TransformerPredictor({.width = 192, .heads = 20});
    FAIL() << "20 heads over a width of 192 were accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("20 heads do not divide the width 192"));
  }
}

/// The last rows of 9, and chosen ones, one of them twice.
std::vector<RowChoice> row_choices() {
  return {{.first = 5, .count = 4}, {.first = 0, .count = 1}, {.index_Bn = indices({8, 0, 0, 1, 2, 3}, {2, 3})}};
}

TEST(Blocks, ChosenRowsAreThoseOfTheWhole) {
  const at::NoGradGuard no_grad;
  Parameters parameters;
  const Blocks blocks(parameters, {.depth = 2, .width = 32, .heads = 4});
  parameters.initialise(1);
  const Tensor x = noise({2, 9, 32});
  for (const RowChoice& rows : row_choices()) {
    for (const Tap tap : {Tap::output, Tap::middle, Tap::attention, Tap::mlp}) {
      Tensor of_rows, of_all;
      kernels::Stream some{.x = x}, whole{.x = x};
      blocks.run(parameters, 1, some, {.rows = &rows, .tapped = &of_rows, .tap = tap});
      blocks.run(parameters, 1, whole, {.tapped = &of_all, .tap = tap});
      EXPECT_LT(max_error(of_rows, rows.of(of_all)), 1e-6);
      EXPECT_LT(max_error(some.sum(), rows.of(whole.sum())), 1e-6);
      Tensor ended;
      kernels::Stream spent{.x = x};
      blocks.run(parameters, 1, spent, {.rows = &rows, .tapped = &ended, .tap = tap, .ends = true});
      EXPECT_TRUE(ended.equal(of_rows));
    }
  }
}

/// The output of the stack for x, and the gradients of its parameters.
std::vector<Tensor> stack_with(int64_t head_multiple, const Tensor& x, const RowChoice* rows) {
  Parameters parameters;
  const Blocks blocks(parameters, {.depth = 2, .width = 48, .heads = 4, .lora_rank = 2, .head_multiple = head_multiple});
  parameters.initialise(1);
  parameters.set_requires_grad(true);
  kernels::Stream stream{.x = x};
  blocks.run(parameters, 0, stream);
  blocks.run(parameters, 1, stream, {.rows = rows});
  std::vector<Tensor> out = {stream.sum()};
  out[0].square().sum().backward();
  for (const Parameter& parameter : parameters) out.push_back(parameter.value.grad());
  return out;
}

/// ViT-S's predictor has heads of 12, which fast attention kernels don't take.
/// The output of a ViT and all gradients, with stochastic depth.
std::vector<Tensor> passes_of(VitConfig config) {
  Vit vit(std::move(config));
  vit.parameters().initialise(3);
  vit.parameters().set_trainable();
  const Vit::Options options{.norm = {}, .drop_path = vit.draw_drop_path(Rng(1, 2, 3, 4), 3)};
  const Tensor tokens = vit.encode(noise({3, 3, 32, 32}), {}, options).patch;
  tokens.mul(noise(tokens.sizes().vec(), 7)).sum().backward();
  std::vector<Tensor> out = {tokens.detach()};
  for (const Parameter& parameter : vit.parameters()) out.push_back(parameter.value.grad());
  return out;
}

TEST(Blocks, RecomputedOnesHaveTheSameBits) {
  for (const double drop_path : {0.0, 0.5}) {
    for (const double layer_scale : {0.0, 0.1}) {
      VitConfig config{.image = 32, .patch = 8, .width = 32, .depth = 3, .heads = 4, .layer_scale = layer_scale, .drop_path = drop_path};
      const std::vector<Tensor> kept = passes_of(config);
      config.recompute = true;
      const std::vector<Tensor> again = passes_of(config);
      ASSERT_EQ(kept.size(), again.size());
      for (size_t i = 0; i < kept.size(); ++i) {
        ASSERT_EQ(kept[i].defined(), again[i].defined()) << i;
        if (kept[i].defined()) {
          EXPECT_TRUE(kept[i].equal(again[i])) << i;
        }
      }
    }
  }
}

TEST(Blocks, GatedMlpsAreSwiGlu) {
  Parameters parameters("vit");
  const Blocks blocks(parameters, {.depth = 1, .width = 32, .heads = 4, .gated = true});
  parameters.initialise(3);
  const auto named = [&](const std::string& name) {
    for (const Parameter& parameter : parameters) {
      if (parameter.name == "blocks.0." + name) return parameter.value;
    }
    throw std::out_of_range(name);
  };
  // Two thirds of 4 x 32, up to a multiple of 8, as DINOv2 counts.
  EXPECT_EQ(named("mlp.w12.weight").sizes(), (at::IntArrayRef{2 * 88, 32}));
  EXPECT_EQ(named("mlp.w3.weight").sizes(), (at::IntArrayRef{32, 88}));
  const Tensor x = noise({2, 5, 32});
  Tensor middle, added;
  kernels::Stream first{.x = x}, second{.x = x};
  blocks.run(parameters, 0, first, {.tapped = &middle, .tap = Tap::middle});
  blocks.run(parameters, 0, second, {.tapped = &added, .tap = Tap::mlp});
  const Tensor normed = at::layer_norm(middle, {32}, named("norm2.weight"), named("norm2.bias"), 1e-6);
  const std::vector<Tensor> halves = at::linear(normed, named("mlp.w12.weight"), named("mlp.w12.bias")).chunk(2, -1);
  const Tensor expected = at::linear(at::sigmoid(halves[0]).mul(halves[0]).mul(halves[1]), named("mlp.w3.weight"), named("mlp.w3.bias"));
  EXPECT_LT(max_error(added, expected), 1e-5);
}

TEST(Blocks, WiderHeadsGiveTheSame) {
  const Tensor x = noise({2, 9, 48});
  const RowChoice last{.first = 5, .count = 4};
  for (const RowChoice* rows : {static_cast<const RowChoice*>(nullptr), &last}) {
    const std::vector<Tensor> plain = stack_with(1, x, rows), wider = stack_with(8, x, rows);
    ASSERT_EQ(plain.size(), wider.size());
    for (size_t i = 0; i < plain.size(); ++i) {
      ASSERT_EQ(plain[i].sizes(), wider[i].sizes());
      EXPECT_LT(max_error(plain[i], wider[i]), 1e-5) << i;
    }
  }
}

TEST(Initialisation, DependsOnSeedAndNameAlone) {
  const Vit deep = small_vit(3), shallow = small_vit(1);
  for (const auto& parameter : shallow.parameters()) {
    EXPECT_TRUE(at::equal(parameter.value, deep.parameters().get(parameter.name))) << parameter.name;
  }
  Vit other = small_vit(1);
  other.parameters().initialise(4);
  EXPECT_FALSE(at::equal(other.parameters().get("cls_token"), deep.parameters().get("cls_token")));
  // Equal names in two families of models are different numbers.
  const TransformerPredictor predictor = small_predictor();
  const char* name = "blocks.0.mlp.fc1.weight";
  EXPECT_FALSE(at::equal(predictor.parameters().get(name).flatten().narrow(0, 0, 64), deep.parameters().get(name).flatten().narrow(0, 0, 64)));
}

TEST(Initialisation, SchemesHaveTheirSpread) {
  const auto spread = [](InitScheme scheme, const char* name) {
    Vit vit({.image = 32, .patch = 8, .width = 64, .depth = 2, .heads = 4});
    vit.parameters().initialise(1, scheme);
    return vit.parameters().get(name).std().item<double>();
  };
  const char* proj = "blocks.1.attn.proj.weight";
  EXPECT_NEAR(spread(InitScheme::ijepa, proj), 0.02, 0.001);
  EXPECT_NEAR(spread(InitScheme::ijepa, "patch_embed.proj.weight"), 0.02, 0.001);
  EXPECT_NEAR(spread(InitScheme::ijepa_rescaled, proj), 0.01, 0.0005);  // block 2: over sqrt(4)
  EXPECT_NEAR(spread(InitScheme::ijepa_rescaled, "blocks.1.attn.qkv.weight"), 0.02, 0.001);
  EXPECT_NEAR(spread(InitScheme::mae, proj), std::sqrt(2.0 / 128), 0.005);
  EXPECT_NEAR(spread(InitScheme::mae, "patch_embed.proj.weight"), std::sqrt(2.0 / (64 + 192)), 0.005);
  EXPECT_NEAR(spread(InitScheme::mae, "blocks.1.attn.qkv.weight"), std::sqrt(2.0 / (192 + 64)), 0.003);
  EXPECT_NEAR(spread(InitScheme::moco_v3, "blocks.1.attn.qkv.weight"), std::sqrt(2.0 / 128), 0.003);
  EXPECT_NEAR(spread(InitScheme::moco_v3, proj), std::sqrt(2.0 / 128), 0.005);
  EXPECT_NEAR(spread(InitScheme::moco_v3, "cls_token"), 1e-6, 3e-7);
  EXPECT_EQ(spread(InitScheme::ijepa, "norm.weight"), 0);
  EXPECT_EQ(init_scheme("mae"), InitScheme::mae);
  EXPECT_THROW(init_scheme("xavier"), std::invalid_argument);
}

TEST(Initialisation, IsFrozen) {
  // A changed value here changes what every seed means: never without a reason that the release notes give.
  Vit vit({.image = 32, .patch = 8, .width = 32, .depth = 1, .heads = 4});
  vit.parameters().initialise(0);
  const Tensor cls = vit.parameters().get("cls_token");
  const Rng rng(0, hash_text("init"), 0, hash_text("cls_token"));
  const double radius = std::sqrt(-2 * std::log((rng.at(0) + 1.0) / 4294967296.0));
  const double angle = 2 * std::acos(-1.0) * rng.at(1) / 4294967296.0;
  EXPECT_FLOAT_EQ(cls[0][0][0].item<float>(), static_cast<float>(0.02 * radius * std::cos(angle)));
  EXPECT_FLOAT_EQ(cls[0][0][1].item<float>(), static_cast<float>(0.02 * radius * std::sin(angle)));
}

TEST(Parameters, ChecksNamesAndShapes) {
  Parameters parameters;
  parameters.add("a", {2, 3}, Init::linear);
  EXPECT_THROW(parameters.add("a", {1}, Init::zeros), std::invalid_argument);
  EXPECT_THROW(parameters.get("b"), std::out_of_range);
  EXPECT_EQ(parameters.find("b"), nullptr);
  EXPECT_THROW(parameters.assign("a", noise({3, 2})), std::invalid_argument);
  Parameters other;
  other.add("b", {2, 3}, Init::linear);
  EXPECT_THROW(parameters.copy_from(other), std::invalid_argument);
  parameters.assign("a", noise({2, 3}));
  parameters.set_requires_grad(true);
  parameters.to(at::kCPU, at::kDouble);
  EXPECT_TRUE(parameters.get("a").requires_grad());
  EXPECT_LT(max_error(parameters.get("a"), noise({2, 3})), 1e-12);
}

}  // namespace
}  // namespace flowrun::model
