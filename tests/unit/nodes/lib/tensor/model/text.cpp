#include "nodes/lib/tensor/model/text.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <cmath>
#include <gmock/gmock.h>

#include "nodes/lib/tensor/loss/coupled.h"
#include "nodes/lib/tensor/model/mlp_head.h"
#include "nodes/lib/tensor/model/rows.h"
#include "nodes/lib/tensor/model/temperature.h"
#include "tests/support/torch_reference.h"

namespace flowrun {
namespace {

using model::Text, model::TextConfig, model::TextPool;

const TextConfig small{.vocabulary = 20, .context = 9, .width = 12, .depth = 2, .heads = 3};

/// A place with the tensors of PyTorch's own transformer; skips where there is no Python.
class TextTwin : public testing::Test {
 protected:
  void SetUp() override {
    std::string missing;
    folder_ = test::reference_folder(missing, "make_text.py");
    if (!missing.empty()) GTEST_SKIP() << missing;
  }
  std::filesystem::path folder_;
};

TEST_F(TextTwin, GivesTheSameVectorsAndGradients) {
  for (const std::string kind : {"causal", "mutual", "quick"}) {
    for (const bool recompute : {false, true}) {
      SCOPED_TRACE(kind + (recompute ? ", blocks run again" : ""));
      const test::TensorMap t = test::load_tensors(folder_ / (kind + ".safetensors"));
      const bool causal = kind != "mutual";
      TextConfig config = small;
      config.quick_gelu = kind == "quick", config.causal = causal, config.recompute = recompute;
      Text tower(config);
      tower.to(at::kCPU, at::kDouble);
      for (const auto& parameter : tower.parameters()) tower.parameters().assign(parameter.name, t.at("p/" + parameter.name));
      tower.parameters().set_trainable();
      const Tensor &ids = t.at("ids"), &end = t.at("end");
      EXPECT_LT(test::relative_error(tower.encode(ids, end, TextPool::end), t.at("end_vectors")), 1e-10);
      EXPECT_LT(test::relative_error(tower.encode(ids, end, TextPool::start), t.at("start")), 1e-10);
      EXPECT_LT(test::relative_error(tower.encode(ids, end, TextPool::mean), t.at("mean")), 1e-10);
      tower.encode(ids, end, causal ? TextPool::end : TextPool::mean).mul(t.at("w")).sum().backward();
      for (const auto& parameter : tower.parameters()) {
        EXPECT_LT(test::max_error(parameter.value.grad(), t.at("g/" + parameter.name)), 1e-10) << parameter.name;
      }
    }
  }
}

TEST_F(TextTwin, HasTheValueAndTheGradientsOfTheSymmetricLoss) {
  const test::TensorMap t = test::load_tensors(folder_ / "loss.safetensors");
  for (const auto& [value, prefix, smoothing] : {std::tuple{"value", "g/", 0.0}, {"smooth", "s/", 0.1}}) {
    const Tensor picture = t.at("picture").clone().requires_grad_(true), text = t.at("text").clone().requires_grad_(true);
    model::Temperature temperature(std::exp(-1.3), 0.01);
    temperature.to(at::kCPU, at::kDouble);
    temperature.parameters().assign("logit_scale", t.at("log"));
    temperature.parameters().set_trainable();
    const Tensor loss = loss::pair_contrast(model::unit_rows(picture).mul(temperature.scale()), model::unit_rows(text), smoothing);
    EXPECT_NEAR(loss.item<double>(), t.at(value).item<double>(), 1e-12);
    loss.backward();
    EXPECT_LT(test::max_error(picture.grad(), t.at(std::string(prefix) + "picture")), 1e-12);
    EXPECT_LT(test::max_error(text.grad(), t.at(std::string(prefix) + "text")), 1e-12);
    EXPECT_LT(test::max_error(temperature.parameters()[0].grad(), t.at(std::string(prefix) + "log")), 1e-12);
  }
}

/// Pieces behind the end, and later ones of a causal tower, change nothing.
TEST(TextTower, SeesNothingBehindTheEnd) {
  const at::NoGradGuard no_grad;
  const Tensor ids = at::tensor({18, 3, 4, 19, 0, 0, 18, 7, 19, 0, 0, 0}, at::kLong).view({2, 6}), end = at::tensor({3, 2}, at::kLong);
  Tensor other = ids.clone();
  other[0][5] = 9, other[1][3] = 11;
  for (const bool causal : {true, false}) {
    TextConfig config = small;
    config.causal = causal;
    Text tower(config);
    tower.parameters().initialise(3);
    for (const TextPool pool : {TextPool::end, TextPool::mean}) {
      EXPECT_LT(test::max_error(tower.encode(ids, end, pool), tower.encode(other, end, pool)), 1e-6);
      EXPECT_LT(test::max_error(tower.encode(ids.narrow(1, 0, 4), end, pool), tower.encode(ids, end, pool)), 1e-6);
    }
    Tensor later = ids.clone();
    later[0][2] = 5;
    const double start = test::max_error(tower.encode(ids, end, TextPool::start), tower.encode(later, end, TextPool::start));
    EXPECT_EQ(start < 1e-7, causal);
  }
}

TEST(TextTower, BeginsAsClipDoes) {
  const Text tower({.vocabulary = 300, .context = 40, .width = 64, .depth = 3, .heads = 4});
  model::Parameters& p = const_cast<Text&>(tower).parameters();
  p.initialise(1);
  const auto deviation = [&](const char* name) { return p.get(name).std().item<double>(); };
  EXPECT_NEAR(deviation("token_embedding.weight"), 0.02, 0.001);
  EXPECT_NEAR(deviation("positional_embedding"), 0.01, 0.001);
  EXPECT_NEAR(deviation("blocks.1.attn.qkv.weight"), 0.125, 0.005);
  EXPECT_NEAR(deviation("blocks.2.attn.proj.weight"), 0.125 / std::sqrt(6), 0.003);
  EXPECT_NEAR(deviation("blocks.2.mlp.fc2.weight"), 0.125 / std::sqrt(6), 0.003);
  EXPECT_NEAR(deviation("blocks.0.mlp.fc1.weight"), 0.125 / std::sqrt(2), 0.003);
}

TEST(TextTower, RefusesLongerTexts) {
  const Text tower(small);
  EXPECT_THROW(tower.encode(at::arange(10).view({1, 10}), at::tensor({9}, at::kLong), TextPool::end), std::invalid_argument);
  EXPECT_THROW(Text({.vocabulary = 0}), std::invalid_argument);
}

TEST(Temperature, FallsNoLowerThanItsLeastValue) {
  model::Temperature temperature(0.07, 0.01);
  EXPECT_NEAR(temperature.scale().item<double>(), 1 / 0.07, 1e-4);
  temperature.parameters()[0].fill_(7);
  temperature.constrain();
  EXPECT_NEAR(temperature.scale().item<double>(), 100, 1e-3);
  temperature.parameters()[0].fill_(-2);
  temperature.constrain();
  EXPECT_NEAR(temperature.scale().item<double>(), std::exp(-2), 1e-6);
  EXPECT_THROW(model::Temperature(0.005, 0.01), std::invalid_argument);
}

TEST(PairContrast, TellsRowsThatNoTemperatureScaled) {
  const Tensor rows = at::arange(12, at::kDouble).sin().view({4, 3});
  EXPECT_NO_THROW(loss::require_one_length(model::unit_rows(rows).mul(7)));
  EXPECT_THROW(loss::require_one_length(rows), std::invalid_argument);
}

}  // namespace
}  // namespace flowrun
