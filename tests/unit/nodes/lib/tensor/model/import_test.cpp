// Weights of other projects (tests/reference/make_imports.py, from timm's models) give timm's features here.
#include "nodes/lib/tensor/model/import.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "support/torch_reference.h"

namespace flowrun::model {
namespace {

using testing::HasSubstr;

class Import : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    std::string missing;
    folder_ = test::reference_folder(missing, "make_imports.py");
    if (folder_.empty()) GTEST_SKIP() << missing;
  }
  WeightsFile file() const { return read_weights((folder_ / (std::string(GetParam()) + ".safetensors")).string()); }

  std::filesystem::path folder_;
};

TEST_P(Import, GivesTheSameFeatures) {
  const at::NoGradGuard no_grad;
  const Imported imported = to_timm_names(file(), Layout::automatic);
  VitConfig config = infer_config(imported, 4);
  EXPECT_EQ(config.pre_norm, std::string(GetParam()) == "clip");
  if (config.pre_norm) config.quick_gelu = true, config.norm_eps = 1e-5;  // the file doesn't tell
  Vit vit(config);
  const ImportReport report = load_weights(vit, imported);
  EXPECT_TRUE(report.complete()) << report.text();
  EXPECT_EQ(report.matched, static_cast<int64_t>(vit.parameters().size()));
  const auto expected = test::load_tensors(folder_ / (std::string(GetParam()) + ".expected.safetensors"));
  EXPECT_LT(test::max_error(vit.features(expected.at("images")).patch, expected.at("patch")), 1e-4);
}

TEST_P(Import, EveryParameterIsNeeded) {
  Imported imported = to_timm_names(file(), Layout::automatic);
  const VitConfig config = infer_config(imported, 4);
  imported.tensors.erase("blocks.1.attn.proj.bias");
  imported.tensors.emplace("blocks.7.norm1.weight", at::zeros({64}));
  Vit vit(config);
  const ImportReport report = load_weights(vit, imported);
  EXPECT_FALSE(report.complete());
  EXPECT_THAT(report.text(), HasSubstr("not in the file: blocks.1.attn.proj.bias"));
  EXPECT_THAT(report.text(), HasSubstr("not in the model: blocks.7.norm1.weight"));
  EXPECT_THAT(report.text(), HasSubstr("matched " + std::to_string(vit.parameters().size() - 1) + " of " + std::to_string(vit.parameters().size())));
}

INSTANTIATE_TEST_SUITE_P(Layouts, Import,
                         testing::Values("timm", "timm_registers", "clip", "mae", "ijepa", "dinov2", "huggingface", "huggingface_dinov2",
                                         "huggingface_ijepa"),
                         [](const auto& info) { return std::string(info.param); });

TEST(ClipsPictureTower, GivesTimmsTokensAndGradients) {
  std::string missing;
  const std::filesystem::path folder = test::reference_folder(missing, "make_imports.py");
  if (folder.empty()) GTEST_SKIP() << missing;
  const test::TensorMap t = test::load_tensors(folder / "clip_exact.safetensors");
  VitConfig config{
      .image = 32, .patch = 8, .width = 64, .depth = 2, .heads = 8, .quick_gelu = true, .pre_norm = true, .registers = 0, .norm_eps = 1e-5};
  config.positions = Positions::learned;
  for (const bool recompute : {false, true}) {
    config.recompute = recompute;
    Vit vit(config);
    vit.to(at::kCPU, at::kDouble);
    for (const Parameter& parameter : vit.parameters()) vit.parameters().assign(parameter.name, t.at("p/" + parameter.name));
    EXPECT_EQ(vit.parameters().find("patch_embed.proj.bias"), nullptr) << "as timm has it";
    const Tensor all_1N = at::arange(16).unsqueeze(0).expand({3, 16});
    for (const Tokens& tokens : {vit.features(t.at("images")), vit.encode_visible(t.at("images"), all_1N)}) {
      EXPECT_LT(test::relative_error(at::cat({tokens.cls_B1D, tokens.patch}, 1), t.at("tokens")), 1e-10);
    }
    EXPECT_LT(test::relative_error(vit.hidden(t.at("images"), {1})[0], t.at("block")), 1e-10);
    vit.parameters().set_trainable();
    const Tokens tokens = vit.features(t.at("images"));
    at::cat({tokens.cls_B1D, tokens.patch}, 1).mul(t.at("w")).sum().backward();
    for (const Parameter& parameter : vit.parameters()) {
      EXPECT_LT(test::max_error(parameter.value.grad(), t.at("g/" + parameter.name)), 1e-9) << parameter.name;
    }
  }
}

/// Flowrun's own export, in memory.
WeightsFile exported(const Vit& vit) {
  WeightsFile file;
  for (const auto& [name, tensor] : timm_state(vit)) file.tensors.emplace(name, tensor);
  return file;
}

Vit example(VitConfig config) {
  Vit vit(config);
  vit.parameters().initialise(4);
  return vit;
}

TEST(Export, ComesBackAsItWas) {
  const VitConfig config{.image = 32, .patch = 8, .width = 64, .depth = 2, .heads = 4, .registers = 3};
  const Vit vit = example(config);
  const Imported imported = to_timm_names(exported(vit), Layout::automatic);
  const VitConfig told = infer_config(imported, 4);
  EXPECT_EQ(told.image, 32);
  EXPECT_EQ(told.registers, 3);
  EXPECT_EQ(told.positions, Positions::sincos) << "the table is the sine-cosine one";
  Vit back(told);
  EXPECT_TRUE(load_weights(back, imported).complete());
  for (const Parameter& parameter : vit.parameters())
    EXPECT_EQ(test::max_error(back.parameters().get(parameter.name), parameter.value), 0) << parameter.name;
}

TEST(Export, MergesLora) {
  const at::NoGradGuard no_grad;
  const Vit vit = example({.image = 16, .patch = 8, .width = 16, .depth = 2, .heads = 2, .registers = 1, .lora_rank = 3, .lora_alpha = 6});
  const Tensor images = at::zeros({1, 3, 16, 16}).add(0.3);
  for (const Parameter& parameter : vit.parameters()) {
    if (parameter.name.ends_with("lora_b")) parameter.value.fill_(0.05);
  }
  const WeightsFile file = exported(vit);
  EXPECT_FALSE(file.tensors.contains("blocks.0.attn.qkv.lora_a"));
  const Imported imported = to_timm_names(file, Layout::automatic);
  Vit plain(infer_config(imported, 2));
  EXPECT_TRUE(load_weights(plain, imported).complete());
  EXPECT_LT(test::max_error(plain.features(images).patch, vit.features(images).patch), 1e-5);
  // The same from the parameters as a checkpoint has them.
  WeightsFile raw{.notes = {{"lora_scale", 2.0}, {"heads", 2}}};
  for (const Parameter& parameter : vit.parameters()) raw.tensors.emplace(parameter.name, parameter.value);
  raw.tensors.emplace("pos_embed", vit.positions_ND().unsqueeze(0));
  const Imported merged = to_timm_names(raw, Layout::automatic);
  Vit second(infer_config(merged, 0));
  EXPECT_TRUE(load_weights(second, merged).complete());
  EXPECT_LT(test::max_error(second.features(images).patch, vit.features(images).patch), 1e-5);
}

TEST(Lora, TrainsItsAdditionsAlone) {
  Vit vit = example({.image = 16, .patch = 8, .width = 16, .depth = 1, .heads = 2, .lora_rank = 2});
  vit.parameters().set_trainable();
  for (const Parameter& parameter : vit.parameters()) {
    EXPECT_EQ(parameter.value.requires_grad(), parameter.name.find(".lora_") != std::string::npos) << parameter.name;
  }
  const Vit plain = example({.image = 16, .patch = 8, .width = 16, .depth = 1, .heads = 2});
  const Tensor images = at::zeros({1, 3, 16, 16}).add(0.3);
  EXPECT_EQ(test::max_error(vit.features(images).patch, plain.features(images).patch), 0) << "at first the addition is nothing";
}

TEST(Positions, AreResampledToAnotherGrid) {
  const Vit vit = example({.image = 32, .patch = 8, .width = 16, .depth = 1, .heads = 2, .positions = Positions::learned});
  const Imported imported = to_timm_names(exported(vit), Layout::automatic);
  VitConfig config = infer_config(imported, 2);
  EXPECT_EQ(config.positions, Positions::learned);
  config.image = 48;
  Vit larger(config);
  const ImportReport report = load_weights(larger, imported);
  EXPECT_TRUE(report.complete());
  EXPECT_THAT(report.text(), HasSubstr("positions resampled from 4x4 to 6x6"));
  EXPECT_EQ(larger.positions_ND().size(0), 36);
  EXPECT_NEAR(larger.positions_ND().mean().item<double>(), vit.positions_ND().mean().item<double>(), 0.01);
}

TEST(ImportErrors, NameTheTensor) {
  EXPECT_THROW(infer_config({}, 0), std::invalid_argument);
  const Vit odd = example({.image = 16, .patch = 8, .width = 20, .depth = 1, .heads = 2});
  try {
    infer_config(to_timm_names(exported(odd), Layout::automatic), 0);
    FAIL() << "no error";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("can't be told from a width of 20: set \"heads\""));
  }
  WeightsFile two = exported(odd);
  two.tensors.emplace("student.norm.weight", at::zeros({20}));
  EXPECT_THROW(to_timm_names(two, Layout::automatic), std::invalid_argument);
}

}  // namespace
}  // namespace flowrun::model
