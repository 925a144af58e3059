// Targets, losses and predictors of the compared methods against PyTorch and scikit-image (tests/reference/make_methods.py).
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "nodes/lib/tensor/loss/regression.h"
#include "nodes/lib/tensor/model/conv_predictor.h"
#include "nodes/lib/tensor/model/cross_predictor.h"
#include "nodes/lib/tensor/model/random.h"
#include "nodes/lib/tensor/model/rows.h"
#include "nodes/lib/tensor/model/transformer_predictor.h"
#include "nodes/lib/tensor/model/vit.h"
#include "nodes/lib/tensor/target/hog.h"
#include "nodes/lib/tensor/target/normalised.h"
#include "support/torch_reference.h"

namespace flowrun {
namespace {

using test::max_error, test::relative_error, test::TensorMap;

class Methods : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    std::string missing;
    const auto folder = test::reference_folder(missing, "make_methods.py");
    if (folder.empty()) GTEST_SKIP() << missing;
    reference_ = test::load_tensors(folder / (GetParam() ? "methods_float64.safetensors" : "methods_float32.safetensors"));
  }
  const Tensor& at(const std::string& name) const { return reference_.at(name); }
  at::ScalarType dtype() const { return GetParam() ? at::kDouble : at::kFloat; }
  void expect(const std::string& name, const Tensor& ours) const { EXPECT_LT(relative_error(ours, at(name)), GetParam() ? 1e-11 : 2e-5) << name; }

  void load(const std::string& name, model::Parameters& parameters, const std::map<std::string, std::string>& renamed = {}) const {
    for (const auto& parameter : parameters) {
      const auto other = renamed.find(parameter.name);
      parameters.assign(parameter.name, at(name + "/weight/" + (other == renamed.end() ? parameter.name : other->second)));
    }
    parameters.set_requires_grad(true);
  }
  /// The output, and the gradients of the sum of its squares.
  void compare(const std::string& name, model::Parameters& parameters, const Tensor& output) const {
    expect(name + "/output", output);
    parameters.zero_grad();
    output.square().sum().backward();
    int compared = 0;
    for (const auto& parameter : parameters) {
      const auto found = reference_.find(name + "/grad/" + parameter.name);
      ASSERT_TRUE(found != reference_.end()) << parameter.name;
      // The keys' bias has no gradient but rounding.
      if (!parameter.name.ends_with("qkv.bias") && !parameter.name.ends_with("kv.bias")) expect(found->first, parameter.value.grad());
      ++compared;
    }
    EXPECT_GT(compared, 4);
  }

  TensorMap reference_;
};

TEST_P(Methods, Targets) {
  using mim::Merge, mim::Over;
  const std::vector<Tensor> taps = {at("tap/1"), at("tap/2")};
  const std::map<std::string, mim::TargetOptions> cases = {
      {"concat", {}},
      {"mean", {.merge = Merge::mean}},
      {"sum", {.merge = Merge::sum}},
      {"mean_standardised", {.merge = Merge::mean, .zscore_merged = true}},
      {"tokens", {.zscore = {.over = Over::tokens}}},
      {"none", {.zscore = {.over = Over::none}}},
      {"data2vec", {.zscore = {.over = Over::tokens}, .merge = Merge::mean, .zscore_merged = true}},
      {"data2vec_pooled", {.zscore = {.over = Over::tokens}, .merge = Merge::mean, .zscore_merged = true, .pooled = true}},
  };
  for (const auto& [name, options] : cases) {
    expect("target/" + name, mim::hidden_targets(taps, at("targets"), options));
    expect("target_repeated/" + name, mim::hidden_targets(taps, at("repeated"), options));
  }
}

TEST_P(Methods, RowsOfATargetAreStandardised) {
  const Tensor target = mim::hidden_targets({at("tap/1"), at("tap/2")}, at("targets"));
  for (const Tensor& slice : target.chunk(2, -1)) {
    EXPECT_LT(slice.mean(-1).abs().max().item<double>(), 1e-4);
    EXPECT_LT(slice.std(-1, /*unbiased=*/false).sub(1).abs().max().item<double>(), 1e-2);
  }
}

TEST_P(Methods, Pixels) {
  expect("pixels/plain", mim::pixel_targets(at("image"), at("targets"), 4, false, {}));
  expect("pixels/normalised", mim::pixel_targets(at("image"), at("targets"), 4, true, {.eps = 1e-6, .unbiased = true}));
}

TEST_P(Methods, LossesAndTheirGradients) {
  using loss::Kind;
  const std::map<std::string, loss::Options> cases = {{"mse", {.kind = Kind::mse}},
                                                      {"l1", {.kind = Kind::l1}},
                                                      {"smooth_l1", {.kind = Kind::smooth_l1, .beta = 0.5}},
                                                      {"cosine", {.kind = Kind::cosine, .parts = 2}}};
  for (auto [name, options] : cases) {
    Tensor prediction = at("prediction").clone().set_requires_grad(true);
    const Tensor value = loss::value(prediction, at("goal"), options);
    value.backward();
    expect("loss/" + name, value);
    expect("loss_grad/" + name, prediction.grad());
    options.parts = 2;
    EXPECT_NEAR(loss::per_part(prediction, at("goal"), options).mean().item<double>(), value.item<double>(), 1e-5) << name;
  }
  Tensor prediction = at("prediction").clone().set_requires_grad(true);
  loss::mse_without_value(prediction, at("goal")).backward();
  expect("loss_grad/mse", prediction.grad());
}

TEST_P(Methods, CrossPredictor) {
  model::CrossPredictor predictor({.grid = 4, .encoder_width = 24, .maps = 2, .width = 16, .depth = 2, .heads = 4, .out_width = 10});
  predictor.to(at::kCPU, dtype());
  load("cross", predictor.parameters());
  const model::PredictorInputs in{.maps_BSD = {at("map/1"), at("map/2")}, .targets_BRM = at("targets")};
  compare("cross", predictor.parameters(), predictor.predict(in));
  EXPECT_THROW(predictor.predict({.targets_BRM = at("targets")}), std::invalid_argument);
}

TEST_P(Methods, CrossPredictorsMaskTokensAreAlone) {
  const at::NoGradGuard no_grad;
  model::CrossPredictor predictor({.grid = 4, .encoder_width = 24, .maps = 2, .width = 16, .depth = 2, .heads = 4, .out_width = 10});
  predictor.to(at::kCPU, dtype());
  load("cross", predictor.parameters());
  model::PredictorInputs in{.maps_BSD = {at("map/1"), at("map/2")}, .targets_BRM = at("targets").clone()};
  const Tensor before = predictor.predict(in).clone();
  in.targets_BRM.select(1, 1).fill_(0);
  EXPECT_TRUE(at::equal(predictor.predict(in).select(1, 0), before.select(1, 0)));
  EXPECT_FALSE(at::equal(predictor.predict(in).select(1, 1), before.select(1, 1)));
}

TEST_P(Methods, ConvPredictor) {
  model::ConvPredictor predictor({.grid = 4, .encoder_width = 24, .width = 16, .depth = 3, .groups = 4, .out_width = 10});
  predictor.to(at::kCPU, dtype());
  load("conv", predictor.parameters());
  compare("conv", predictor.parameters(), predictor.decode(at("tap/1")));
}

TEST_P(Methods, ConvPredictorFillsHiddenPlacesWithKeyedNoise) {
  const at::NoGradGuard no_grad;
  model::ConvPredictor predictor({.grid = 4, .encoder_width = 24, .width = 16, .depth = 1, .groups = 4, .out_width = 10});
  predictor.to(at::kCPU, dtype());
  load("conv", predictor.parameters());
  const Tensor visible = at("visible"), patches = model::gather_rows(at("tap/1"), visible);
  model::PredictorInputs in{.patch_BKD = patches, .visible_BK = visible, .targets_BRM = at("targets"), .noise = 5};
  const Tensor noise = model::keyed_normal({3, 16, 24}, 0.01, 5, patches.options());
  EXPECT_NEAR(noise.std().item<double>(), 0.01, 1e-3);
  Tensor grid = noise.clone();
  for (int64_t image = 0; image < 3; ++image) grid[image].index_copy_(0, visible[image], patches[image]);
  const Tensor expected = model::gather_rows(predictor.decode(grid), at("targets"));
  EXPECT_TRUE(at::equal(predictor.predict(in), expected));
  in.noise = 6;
  EXPECT_FALSE(at::equal(predictor.predict(in), expected));
}

TEST_P(Methods, JointRegionsAreOneSequence) {
  model::TransformerPredictor predictor(
      {.grid = 4, .encoder_width = 24, .width = 16, .depth = 2, .heads = 4, .registers = 1, .out_width = 10, .joint = true});
  predictor.to(at::kCPU, dtype());
  load("joint", predictor.parameters());
  compare("joint", predictor.parameters(), predictor.predict(at("joint/cls"), at("joint/patch"), at("visible"), at("targets")));
}

TEST_P(Methods, EncoderWithLayerScaleAndLearnedPositions) {
  model::Vit vit(
      {.image = 16, .patch = 4, .width = 24, .depth = 2, .heads = 3, .registers = 2, .positions = model::Positions::learned, .layer_scale = 0.1});
  vit.to(at::kCPU, dtype());
  load("vit", vit.parameters());
  const std::map<std::string, model::Tap> taps = {
      {"output", model::Tap::output}, {"middle", model::Tap::middle}, {"attention", model::Tap::attention}, {"mlp", model::Tap::mlp}};
  for (const auto& [name, tap] : taps) {
    const auto hidden = vit.hidden(at("image"), {1, 2}, tap);
    for (const int block : {1, 2}) expect("vit/tap/" + name + "/" + std::to_string(block), hidden[static_cast<size_t>(block - 1)]);
  }
  expect("vit/tap/last", vit.hidden(at("image"), {2}, model::Tap::output, /*norm_last=*/true)[0]);
  const auto tokens = vit.encode_visible(at("image"), at("visible"));
  compare("vit", vit.parameters(), at::cat({tokens.cls_B1D, tokens.registers, tokens.patch}, 1));
}

/// Class token, registers and patches in the encoder's order.
Tensor sequence_of(const model::Tokens& tokens) { return at::cat({tokens.cls_B1D, tokens.registers, tokens.patch}, 1); }

TEST_P(Methods, NormsOfAnEncoderAdaptToTimes) {
  for (const bool recompute : {false, true}) {
    model::Vit vit({.image = 16, .patch = 4, .width = 24, .depth = 2, .heads = 3, .registers = 1, .recompute = recompute, .time = true});
    vit.to(at::kCPU, dtype());
    load("timed", vit.parameters());
    const model::EncodeOptions options{.time_B = at("times")};
    expect("timed/whole", sequence_of(vit.encode(at("image"), {}, options)));
    expect("timed/clean", sequence_of(vit.encode(at("image"), {}, {})));
    compare("timed", vit.parameters(), sequence_of(vit.encode(at("image"), {.visible_BK = at("visible")}, options)));
    expect("timed/clean",
           at::cat({sequence_of(vit.encode(at("image"), {}, {})).narrow(1, 0, 2), vit.hidden(at("image"), {2}, model::Tap::output, true)[0]}, 1));
    EXPECT_THROW(vit.encode(at("image"), {}, {.time_B = at("times").narrow(0, 0, 2)}), std::invalid_argument);
  }
}

TEST_P(Methods, MasksOfAnImageHaveItsTime) {
  const at::NoGradGuard no_grad;
  model::Vit vit({.image = 16, .patch = 4, .width = 24, .depth = 2, .heads = 3, .registers = 1, .time = true});
  vit.to(at::kCPU, dtype());
  load("timed", vit.parameters());
  const Tensor repeated = at("repeated").squeeze(1);
  const Tensor both = vit.encode(at("image"), {.visible_BK = repeated}, {.time_B = at("times")}).patch;
  for (const int64_t which : {0, 1}) {
    const Tensor one = vit.encode(at("image"), {.visible_BK = repeated.unflatten(0, {3, 2}).select(1, which)}, {.time_B = at("times")}).patch;
    EXPECT_LT(max_error(both.unflatten(0, {3, 2}).select(1, which), one), 1e-5);
  }
}

TEST_P(Methods, AdaptiveBlocksBeginAsTheIdentity) {
  const at::NoGradGuard no_grad;
  model::Vit vit({.image = 16, .patch = 4, .width = 24, .depth = 2, .heads = 3, .registers = 1, .time = true});
  vit.parameters().initialise(3);
  vit.to(at::kCPU, dtype());
  const std::vector<Tensor> found = vit.hidden(at("image"), {1, 2});
  EXPECT_GT(found[0].abs().max().item<double>(), 0.1);
  EXPECT_TRUE(at::equal(found[0], found[1]));
}

TEST_P(Methods, PredictorAdaptsToTimesAndPredictsVisiblePatches) {
  model::TransformerPredictorConfig config{.grid = 4,
                                           .encoder_width = 24,
                                           .width = 16,
                                           .depth = 2,
                                           .heads = 4,
                                           .registers = 1,
                                           .out_width = 10,
                                           .joint = true,
                                           .time = true,
                                           .visible_width = 7};
  model::TransformerPredictor predictor(config);
  predictor.to(at::kCPU, dtype());
  load("timed_predictor", predictor.parameters());
  Tensor visible;
  model::PredictorInputs in{.cls_B1D = at("joint/cls"),
                            .patch_BKD = at("joint/patch"),
                            .visible_BK = at("visible"),
                            .targets_BRM = at("targets"),
                            .time_B = at("times"),
                            .visible_B1KO = &visible};
  const Tensor hidden = predictor.predict(in);
  expect("timed_predictor/hidden", hidden), expect("timed_predictor/visible", visible);
  compare("timed_predictor", predictor.parameters(), at::cat({hidden.flatten(), visible.flatten()}));
  in.visible_B1KO = nullptr;
  expect("timed_predictor/hidden", predictor.predict(in));
  config.joint = false;
  EXPECT_THROW(model::TransformerPredictor{config}, std::invalid_argument);
  // Regions apart: each is its own sequence, of its image's time.
  config.visible_width = 0;
  model::TransformerPredictor apart(config);
  apart.parameters().initialise(3);
  apart.parameters().set_requires_grad(false), apart.to(at::kCPU, dtype());
  for (const char* zero : {"blocks.0.ada.weight", "blocks.1.ada.weight", "final.weight"}) {
    apart.parameters().assign(zero, at("timed_predictor/weight/" + std::string(zero)));
  }
  const Tensor both = apart.predict(in);
  in.targets_BRM = at("targets").narrow(1, 1, 1);
  EXPECT_LT(max_error(apart.predict(in), both.narrow(1, 1, 1)), 1e-5);
  in.time_B = at("times").flip(0);
  EXPECT_GT(max_error(apart.predict(in), both.narrow(1, 1, 1)), 1e-4);
  in.visible_B1KO = &visible;
  EXPECT_THROW(apart.predict(in), std::invalid_argument);
}

TEST_P(Methods, DropPathLeavesBranchesOut) {
  const at::NoGradGuard no_grad;
  model::VitConfig config{
      .image = 16, .patch = 4, .width = 24, .depth = 2, .heads = 3, .registers = 2, .positions = model::Positions::learned, .layer_scale = 0.1};
  config.drop_path = 0.5;
  const Tensor keep = model::draw_drop_path(config, Rng(1, 2, 3, 4), 4000);
  EXPECT_EQ(keep.sizes(), (std::vector<int64_t>{4, 4000}));
  EXPECT_TRUE(at::equal(keep.narrow(0, 0, 2), at::ones({2, 4000}))) << "the first block always stays";
  EXPECT_NEAR(keep.narrow(0, 2, 2).mean().item<double>(), 1, 0.05);
  EXPECT_EQ(keep.max().item<double>(), 2);
  model::Vit vit(config);
  vit.to(at::kCPU, dtype());
  load("vit", vit.parameters());
  const Tensor none = at::zeros({4, 3}, vit.positions_ND().options());
  const auto plain = vit.encode_visible(at("image"), at("visible"), {.drop_path = at::ones_like(none)});
  EXPECT_TRUE(at::equal(plain.patch, vit.encode_visible(at("image"), at("visible")).patch));
  // With every branch left out, what remains is the embedding under the final norm: the class token of all images is one.
  const auto bare = vit.encode_visible(at("image"), at("visible"), {.drop_path = none});
  EXPECT_TRUE(at::equal(bare.cls_B1D[0], bare.cls_B1D[1]));
  EXPECT_FALSE(at::equal(plain.cls_B1D[0], plain.cls_B1D[1]));
}

TEST_P(Methods, SeveralMasksOfAnImageArePassesOfTheirOwn) {
  const at::NoGradGuard no_grad;
  model::Vit vit(
      {.image = 16, .patch = 4, .width = 24, .depth = 2, .heads = 3, .registers = 2, .positions = model::Positions::learned, .layer_scale = 0.1});
  vit.to(at::kCPU, dtype());
  load("vit", vit.parameters());
  const Tensor repeated = at("repeated").squeeze(1);  // rows 2 i and 2 i + 1 are image i's
  const auto both = vit.encode_visible(at("image"), repeated);
  for (const int64_t which : {0, 1}) {
    const Tensor one = repeated.unflatten(0, {3, 2}).select(1, which);
    EXPECT_LT(max_error(both.patch.unflatten(0, {3, 2}).select(1, which), vit.encode_visible(at("image"), one).patch), 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(Precision, Methods, testing::Bool(), [](const auto& info) { return info.param ? "float64" : "float32"; });

TEST(Hog, IsScikitImages) {
  std::string missing;
  const auto folder = test::reference_folder(missing, "make_methods.py");
  if (folder.empty()) GTEST_SKIP() << missing;
  const TensorMap reference = test::load_tensors(folder / "hog.safetensors");
  const Tensor cells = mim::hog_cells(reference.at("images"), {});
  EXPECT_LT(max_error(cells, reference.at("cells")), 1e-6);  // scikit-image sums histograms in float32
  EXPECT_EQ(mim::hog_cells(reference.at("images").to(at::kFloat), {}).scalar_type(), at::kFloat);
}

TEST(Hog, IsMaskFeats) {
  std::string missing;
  const auto folder = test::reference_folder(missing, "make_methods.py");
  if (folder.empty()) GTEST_SKIP() << missing;
  const TensorMap reference = test::load_tensors(folder / "hog.safetensors");
  const mim::Hog options{.kind = mim::HogOperator::maskfeat};
  EXPECT_LT(max_error(mim::hog_cells(reference.at("images"), options), reference.at("maskfeat_float64")), 1e-10);
  EXPECT_LT(max_error(mim::hog_cells(reference.at("images").to(at::kFloat), options), reference.at("maskfeat_float32")), 1e-5);
  EXPECT_GT(max_error(mim::hog_cells(reference.at("images"), {}), reference.at("maskfeat_float64")), 0.1);
  // A flat image has no gradients, and no length to divide by.
  EXPECT_EQ(mim::hog_cells(at::ones({1, 3, 16, 16}), options).abs().max().item<double>(), 0);
  const Tensor index = at::full({1, 1, 1}, 3, at::kLong);
  const Tensor cells = mim::hog_cells(reference.at("images").narrow(0, 0, 1), options);
  const Tensor target = mim::hog_targets(reference.at("images").narrow(0, 0, 1), index, 16, options);
  EXPECT_TRUE(at::equal(target.view({3, 9, 2, 2}), cells[0].narrow(2, 2, 2).narrow(3, 2, 2))) << "the order of the values is scikit's";
}

TEST(Hog, CellsOfAPatchStandTogether) {
  const Tensor images = at::arange(3 * 32 * 32, at::kDouble).sin().view({1, 3, 32, 32});
  const Tensor cells = mim::hog_cells(images, {});
  const Tensor index = at::full({1, 1, 1}, 3, at::kLong);  // patch 3 of 2 x 2: lower right
  const Tensor target = mim::hog_targets(images, index, 16, {});
  EXPECT_EQ(target.sizes(), (std::vector<int64_t>{1, 1, 1, 108}));
  EXPECT_TRUE(at::equal(target.view({3, 9, 2, 2}), cells[0].narrow(2, 2, 2).narrow(3, 2, 2)));
}

}  // namespace
}  // namespace flowrun
