// Rotary positions against their formulas, worked out number by number, and what must hold of a model that has them.
#include "nodes/lib/tensor/model/rotary.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <cmath>
#include <gtest/gtest.h>
#include <numbers>
#include <stdexcept>

#include "nodes/lib/tensor/model/cross_predictor.h"
#include "nodes/lib/tensor/model/import.h"
#include "nodes/lib/tensor/model/transformer_predictor.h"
#include "nodes/lib/tensor/model/vit.h"
#include "support/torch_reference.h"

namespace flowrun::model {
namespace {

using test::max_error;

/// Numbers without structure, the same in every run.
Tensor noise(std::vector<int64_t> shape, double seed = 1) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return at::arange(count, at::kDouble).add(seed).mul(12.9898).sin().mul(43758.5453).frac().view(shape);
}

Tensor indices(std::vector<int64_t> values, std::vector<int64_t> shape) { return at::tensor(at::ArrayRef<int64_t>(values), at::kLong).view(shape); }

/// Radians of channel `channel` at row `row` and column `column` of a grid, after dinov3/layers/rope_position_encoding.py.
double angle_of_dinov3(int64_t grid, int64_t row, int64_t column, int64_t channel, int64_t width) {
  const int64_t place = channel % (width / 2), axis = place < width / 4 ? row : column, k = place % (width / 4);
  const double centre = 2 * (static_cast<double>(axis) + 0.5) / static_cast<double>(grid) - 1;
  return 2 * std::numbers::pi * centre / std::pow(100.0, 2 * static_cast<double>(k) / (static_cast<double>(width) / 2));
}

/// The same after capi's model.py.
double angle_of_capi(int64_t grid, int64_t row, int64_t column, int64_t channel, int64_t width) {
  const int64_t axis = channel < width / 2 ? row : column, k = channel % (width / 4);
  const double place = static_cast<double>(axis) / static_cast<double>(grid - 1);
  return 2 * std::numbers::pi * place * 7 * std::pow(1e4, -static_cast<double>(k) / (static_cast<double>(width) / 4 - 1));
}

void expect_formula(Positions positions, double (*angle)(int64_t, int64_t, int64_t, int64_t, int64_t)) {
  constexpr int64_t grid = 3, width = 8;
  const Rotation factors = rotation(rotary_places(positions, grid, at::kDouble).unsqueeze(0), rotary_frequencies(positions, width, at::kDouble));
  const Tensor x = noise({1, 1, grid * grid, width}), turned = rotated(x, factors);
  for (int64_t patch = 0; patch < grid * grid; ++patch) {
    for (int64_t i = 0; i < width; ++i) {
      const auto value = [&](int64_t channel) { return x[0][0][patch][channel].item<double>(); };
      const double a = angle(grid, patch / grid, patch % grid, i, width), partner = i < width / 2 ? -value(i + width / 2) : value(i - width / 2);
      EXPECT_NEAR(turned[0][0][patch][i].item<double>(), value(i) * std::cos(a) + partner * std::sin(a), 1e-12)
          << "patch " << patch << ", channel " << i;
    }
  }
}

TEST(Rotary, IsTheFormulaOfDinov3) { expect_formula(Positions::rotary, angle_of_dinov3); }

TEST(Rotary, IsTheFormulaOfCapi) { expect_formula(Positions::rotary_capi, angle_of_capi); }

TEST(Rotary, ScoresDependOnDistanceAlone) {
  const Tensor frequencies = rotary_frequencies(Positions::rotary, 8, at::kDouble), q = noise({1, 1, 1, 8}), k = noise({1, 1, 1, 8}, 9);
  const auto score = [&](double row, double column) {
    const auto at_place = [&](const Tensor& x, double r, double c) {
      return rotated(x, rotation(at::tensor({r, c}, at::kDouble).view({1, 1, 2}), frequencies));
    };
    return at_place(q, row, column).mul(at_place(k, row + 0.25, column - 0.5)).sum().item<double>();
  };
  EXPECT_NEAR(score(0, 0), score(-0.7, 0.4), 1e-12);
  EXPECT_GT(std::abs(score(0, 0) - q.mul(k).sum().item<double>()), 1e-3);
  EXPECT_NEAR(rotated(q, rotation(at::tensor({0.3, -0.8}, at::kDouble).view({1, 1, 2}), frequencies)).norm().item<double>(), q.norm().item<double>(),
              1e-12);
}

TEST(Rotary, RegistersLieOnTheEdgeOfWhatIsVisible) {
  const Tensor places = at::tensor({0.2, 0.5, 0.6, 0.1}, at::kDouble).view({1, 2, 2});
  const Tensor all = with_register_places(Positions::rotary_capi, places, 8)[0];
  // Two on each side of the rectangle of rows 0.2 to 0.6 and columns 0.1 to 0.5.
  const Tensor expected =
      at::tensor({0.2, 0.1, 0.4, 0.1, 0.6, 0.1, 0.6, 0.3, 0.6, 0.5, 0.4, 0.5, 0.2, 0.5, 0.2, 0.3, 0.2, 0.5, 0.6, 0.1}, at::kDouble);
  EXPECT_LT(max_error(all.flatten(), expected), 1e-12);
  EXPECT_TRUE(at::equal(with_register_places(Positions::rotary, places, 3)[0].narrow(0, 0, 3), at::zeros({3, 2}, at::kDouble)));
}

TEST(Rotary, ChannelsBehindTheHeadStayAsTheyAre) {
  const Rotation factors = rotation(rotary_places(Positions::rotary, 2).unsqueeze(0), rotary_frequencies(Positions::rotary, 4));
  const Tensor x = noise({2, 3, 4, 6}).to(at::kFloat), turned = rotated(x, factors);
  EXPECT_TRUE(at::equal(turned.narrow(-1, 4, 2), x.narrow(-1, 4, 2)));
  EXPECT_TRUE(at::equal(turned.narrow(-1, 0, 4), rotated(x.narrow(-1, 0, 4), factors)));
  EXPECT_THROW(rotary_frequencies(Positions::rotary, 6), std::invalid_argument);
}

VitConfig config_of(Positions positions) {
  return {.image = 32,
          .patch = 8,
          .width = 32,
          .depth = 2,
          .heads = 4,
          .class_token = positions == Positions::rotary,
          .positions = positions,
          .sizes = {16}};
}

Vit vit_of(VitConfig config) {
  Vit vit(std::move(config));
  vit.parameters().initialise(3);
  return vit;
}

class RotaryModel : public testing::TestWithParam<Positions> {};

TEST_P(RotaryModel, VisiblePatchesKeepTheirPlaces) {
  const at::NoGradGuard no_grad;
  const Vit vit = vit_of(config_of(GetParam()));
  const Tensor images = noise({2, 3, 32, 32}).to(at::kFloat),
               order = indices({9, 3, 0, 15, 4, 1, 2, 5, 6, 7, 8, 10, 11, 12, 13, 14}, {1, 16}).expand({2, 16});
  const Tensor whole = vit.features(images).patch, ordered = vit.encode_visible(images, order).patch;
  EXPECT_LT(max_error(ordered, whole.index_select(1, order[0])), 1e-5);
  // Without positions a patch would not know where it is.
  Tensor swapped = images.clone();
  swapped.narrow(3, 0, 8).copy_(images.narrow(3, 8, 8)), swapped.narrow(3, 8, 8).copy_(images.narrow(3, 0, 8));
  EXPECT_GT(max_error(vit.features(swapped).patch.select(1, 0), whole.select(1, 1)), 1e-4);
  EXPECT_EQ(vit.features(noise({1, 3, 16, 16}).to(at::kFloat)).patch.size(1), 4) << "other sides have places of their own";
}

TEST_P(RotaryModel, TeacherAndStudentAreOneModel) {
  const at::NoGradGuard no_grad;
  const Vit vit = vit_of(config_of(GetParam()));
  const Tensor images = noise({2, 3, 32, 32}).to(at::kFloat);
  EXPECT_LT(max_error(vit.hidden(images, {1, 2}, Tap::output, /*norm_last=*/true)[1], vit.features(images).patch), 1e-5);
}

TEST_P(RotaryModel, FileTellsOfIt) {
  const at::NoGradGuard no_grad;
  const Vit vit = vit_of(config_of(GetParam()));
  WeightsFile file{.notes = {{"heads", 4}, {"rotary", GetParam() == Positions::rotary ? 1.0 : 2.0}}};
  for (const Parameter& parameter : vit.parameters()) file.tensors.emplace(parameter.name, parameter.value);
  file.tensors.emplace("pos_embed", vit.positions_ND().unsqueeze(0));
  const Imported imported = to_timm_names(file, Layout::automatic);
  Vit back(infer_config(imported, 0));
  EXPECT_EQ(back.config().positions, GetParam());
  EXPECT_TRUE(load_weights(back, imported).complete());
  const Tensor images = noise({1, 3, 32, 32}).to(at::kFloat);
  EXPECT_TRUE(at::equal(back.features(images).patch, vit.features(images).patch));
}

TEST_P(RotaryModel, BlocksThatRunAgainTurnAgain) {
  VitConfig config = config_of(GetParam());
  const auto gradient = [&](bool recompute) {
    config.recompute = recompute;
    Vit vit = vit_of(config);
    vit.parameters().set_trainable();
    vit.features(noise({2, 3, 32, 32}).to(at::kFloat)).patch.square().sum().backward();
    return vit.parameters().get("blocks.0.attn.qkv.weight").grad().clone();
  };
  EXPECT_TRUE(at::equal(gradient(false), gradient(true)));
}

TEST_P(RotaryModel, CrossPredictorReadsPlaces) {
  const at::NoGradGuard no_grad;
  CrossPredictor predictor({.grid = 4, .encoder_width = 32, .maps = 0, .width = 16, .depth = 2, .heads = 4, .out_width = 8, .positions = GetParam()});
  predictor.parameters().initialise(3);
  PredictorInputs in{.registers = noise({1, 4, 32}, 2).to(at::kFloat),
                     .patch_BKD = noise({1, 3, 32}, 5).to(at::kFloat),
                     .visible_BK = indices({0, 5, 10}, {1, 3}),
                     .targets_BRM = indices({1, 2, 3, 15}, {1, 2, 2})};
  const Tensor out = predictor.predict(in);
  EXPECT_GT(max_error(out[0][0][0], out[0][1][1]), 1e-4) << "mask tokens of two places are told apart";
  // The order of what is read does not matter, as long as places go with it.
  const Tensor order = indices({2, 0, 1}, {3});
  PredictorInputs other = in;
  other.patch_BKD = in.patch_BKD.index_select(1, order), other.visible_BK = in.visible_BK.index_select(1, order);
  EXPECT_LT(max_error(predictor.predict(other), out), 1e-5);
  other.visible_BK = in.visible_BK;
  EXPECT_GT(max_error(predictor.predict(other), out), 1e-5);
  other = in, other.registers = noise({1, 4, 32}, 8).to(at::kFloat);
  EXPECT_GT(max_error(predictor.predict(other), out), 1e-5) << "registers are read";
}

INSTANTIATE_TEST_SUITE_P(Forms, RotaryModel, testing::Values(Positions::rotary, Positions::rotary_capi),
                         [](const auto& info) { return info.param == Positions::rotary ? "dinov3" : "capi"; });

TEST(Rotary, PredictorReadsPlaces) {
  const at::NoGradGuard no_grad;
  TransformerPredictor predictor(
      {.grid = 4, .encoder_width = 32, .width = 16, .depth = 3, .heads = 4, .registers = 2, .out_width = 8, .rotary = true});
  predictor.parameters().initialise(3);
  const Tensor cls = noise({1, 1, 32}).to(at::kFloat), patch = noise({1, 3, 32}, 5).to(at::kFloat), visible = indices({0, 5, 10}, {1, 3}),
               order = indices({2, 0, 1}, {3}), targets = indices({1, 2, 3, 15}, {1, 2, 2});
  const Tensor out = predictor.predict(cls, patch, visible, targets);
  EXPECT_LT(max_error(predictor.predict(cls, patch.index_select(1, order), visible.index_select(1, order), targets), out), 1e-5);
  EXPECT_GT(max_error(predictor.predict(cls, patch.index_select(1, order), visible, targets), out), 1e-5);
  EXPECT_GT(max_error(out[0][0][0], out[0][0][1]), 1e-4) << "mask tokens of two places are told apart";
  // A region alone is what it is beside another.
  EXPECT_LT(max_error(predictor.predict(cls, patch, visible, targets.narrow(1, 1, 1))[0][0], out[0][1]), 1e-6);
}

}  // namespace
}  // namespace flowrun::model
