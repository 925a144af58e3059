// Every number of a training step against PyTorch, and the exported encoder in timm.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones_like.h>
#include <algorithm>
#include <gtest/gtest.h>

#include "nodes/lib/tensor/loss/regression.h"
#include "nodes/lib/tensor/model/transformer_predictor.h"
#include "nodes/lib/tensor/model/vit.h"
#include "nodes/lib/tensor/optim/adamw_math.h"
#include "nodes/lib/tensor/optim/schedule.h"
#include "nodes/lib/tensor/target/normalised.h"
#include "support/torch_reference.h"

namespace flowrun {
namespace {

using model::Parameters, model::TransformerPredictor, model::TransformerPredictorConfig, model::Vit, model::VitConfig;
using test::max_error, test::relative_error, test::TensorMap;

/// The constants of make_reference.py. The rate is below the paper's because AdamW divides the rounding errors of a
/// small gradient by that gradient, and brings them to the size of a step.
constexpr double kMaxLr = 1e-3;
struct Case {
  std::string name;
  VitConfig vit;
  TransformerPredictorConfig predictor;
  std::vector<int64_t> taps;
};

std::vector<Case> cases() {
  Case full{"full", {.image = 32, .patch = 8, .width = 32, .depth = 4, .heads = 2}, {}, {1, 2, 4}};
  full.predictor = {.grid = 4, .encoder_width = 32, .width = 16, .depth = 3, .heads = 4, .out_width = 96};
  Case bare{"bare", {.image = 24, .patch = 4, .width = 24, .depth = 3, .heads = 3}, {}, {2}};
  bare.vit.class_token = false, bare.vit.registers = 0;
  bare.predictor = {.grid = 6, .encoder_width = 24, .width = 12, .depth = 1, .heads = 2, .registers = 0, .out_width = 24};
  return {full, bare};
}

/// Compares with the reference tensors, and keeps the worst error of each kind for the record.
class Comparison {
 public:
  Comparison(TensorMap reference, bool exact) : reference_(std::move(reference)), limit_(exact ? 1e-9 : 1e-5) {}

  const Tensor& at(const std::string& name) const { return reference_.at(name); }

  void expect(const std::string& name, const Tensor& ours) {
    // The softmax does not change when all keys shift, so the middle third of a qkv bias has no gradient: what is
    // there is rounding noise, which AdamW brings to the size of a step. In float32 it is held to the size of the
    // three steps only.
    const bool noise = limit_ > 1e-9 && name.starts_with("after/") && name.ends_with("attn.qkv.bias");
    const Tensor& theirs = at(name);
    if (noise) {
      const int64_t third = ours.size(0) / 3;
      EXPECT_LT(max_error(ours.narrow(0, third, third), theirs.narrow(0, third, third)), 3 * 2 * kMaxLr) << name;
    }
    for (const int64_t part : noise ? std::vector<int64_t>{0, 2} : std::vector<int64_t>{-1}) {
      const int64_t third = noise ? ours.size(0) / 3 : 0;
      const double error =
          noise ? relative_error(ours.narrow(0, part * third, third), theirs.narrow(0, part * third, third)) : relative_error(ours, theirs);
      EXPECT_LT(error, limit_) << name;
      double& worst = worst_[name.substr(0, name.find('/'))];
      worst = std::max(worst, error);
    }
    ++compared_;
  }

  std::string summary() const {
    std::string text = std::to_string(compared_) + " tensors; worst relative error:";
    for (const auto& [kind, error] : worst_) {
      std::array<char, 32> number;
      std::snprintf(number.data(), number.size(), " %.1e", error);
      text += " " + kind + number.data();
    }
    return text;
  }

 private:
  TensorMap reference_;
  double limit_;
  std::map<std::string, double> worst_;
  int compared_ = 0;
};

void load(const Comparison& reference, const std::string& model, Parameters& parameters) {
  for (const auto& parameter : parameters) {
    parameters.assign(parameter.name, reference.at("weight/" + model + "/" + parameter.name));
  }
}

void expect_gradients(Comparison& reference, const std::string& model, const Parameters& parameters) {
  for (const auto& parameter : parameters) {
    ASSERT_TRUE(parameter.value.grad().defined()) << parameter.name;
    reference.expect("grad/" + model + "/" + parameter.name, parameter.value.grad());
  }
}

class ReferenceStep : public testing::TestWithParam<std::tuple<int, bool>> {};

TEST_P(ReferenceStep, EveryNumberOfThreeStepsMatchesPyTorch) {
  const auto [index, exact] = GetParam();
  const Case setup = cases()[index];
  std::string missing;
  const auto folder = test::reference_folder(missing);
  if (folder.empty()) GTEST_SKIP() << missing;
  Comparison reference(test::load_tensors(folder / (setup.name + (exact ? "_float64" : "_float32") + ".safetensors")), exact);

  Vit student(setup.vit), teacher(setup.vit);
  TransformerPredictor predictor(setup.predictor);
  const auto dtype = exact ? at::kDouble : at::kFloat;
  student.to(at::kCPU, dtype), teacher.to(at::kCPU, dtype), predictor.to(at::kCPU, dtype);
  load(reference, "student", student.parameters());
  load(reference, "teacher", teacher.parameters());
  load(reference, "predictor", predictor.parameters());
  student.parameters().set_requires_grad(true), predictor.parameters().set_requires_grad(true);
  train::AdamW optimizer;
  optimizer.add("student", student.parameters());
  optimizer.add("predictor", predictor.parameters());

  for (int64_t step = 1; step <= 3; ++step) {
    const auto input = [&](const char* name) { return reference.at("step" + std::to_string(step) + "/" + name); };
    const Tensor images = input("images"), visible = input("visible"), targets = input("targets");
    const auto taps = teacher.hidden(images, setup.taps);
    const Tensor target = mim::hidden_targets(taps, targets);
    const auto tokens = student.encode_visible(images, visible);
    const Tensor prediction = predictor.predict(tokens.cls_B1D, tokens.patch, visible, targets);
    const Tensor loss = loss::value(prediction, target, {});
    optimizer.zero_grad();
    loss.backward();
    reference.expect("loss" + std::to_string(step), loss);
    if (step == 1) {
      for (size_t i = 0; i < taps.size(); ++i) reference.expect("tap/" + std::to_string(setup.taps[i]), taps[i]);
      reference.expect("target", target);
      reference.expect("patch", tokens.patch);
      reference.expect("prediction", prediction);
      reference.expect("loss_per_tap", loss::per_part(prediction, target, {.parts = static_cast<int64_t>(taps.size())}));
      const at::NoGradGuard no_grad;
      const auto features = student.features(images);
      reference.expect("features/patch", features.patch);
      if (setup.vit.class_token) {
        reference.expect("cls", tokens.cls_B1D);
        reference.expect("features/cls", features.cls_B1D);
      }
      expect_gradients(reference, "student", student.parameters());
      expect_gradients(reference, "predictor", predictor.parameters());
    }
    optimizer.step(train::Warmup{.max = kMaxLr}.at(step, {.total = 10, .warmup = 2}), 0.05);
    train::ema_update(teacher.parameters(), student.parameters(), 0.9);
  }
  for (const auto& p : student.parameters()) reference.expect("after/student/" + p.name, p.value);
  for (const auto& p : teacher.parameters()) reference.expect("after/teacher/" + p.name, p.value);
  for (const auto& p : predictor.parameters()) reference.expect("after/predictor/" + p.name, p.value);
  for (const auto& [name, value] : optimizer.state()) {
    const size_t model = name.find('.'), field = name.rfind('.');
    const std::string rest = "/" + name.substr(0, model) + "/" + name.substr(model + 1, field - model - 1);
    if (name.ends_with(".step")) {
      EXPECT_EQ(value.item<float>(), 3);
    } else {
      reference.expect(name.substr(field + 1) + rest, value);
    }
  }
  std::printf("%s\n", reference.summary().c_str());
}

INSTANTIATE_TEST_SUITE_P(Cases, ReferenceStep, testing::Combine(testing::Values(0, 1), testing::Bool()),
                         [](const auto& info) { return cases()[std::get<0>(info.param)].name + (std::get<1>(info.param) ? "64" : "32"); });

TEST(TimmExport, LoadsWithAllKeysAndGivesTheSameFeatures) {
  const VitConfig config{.image = 32, .patch = 8, .width = 64, .depth = 3, .heads = 4};
  Vit vit(config);
  vit.parameters().initialise(5);
  const at::NoGradGuard no_grad;
  const Tensor images = at::ones_like(at::empty({2, 3, 32, 32})).cumsum(-1).mul(0.1).sin();
  const auto features = vit.features(images);
  TensorMap tensors{{"images", images}, {"cls", features.cls_B1D}, {"patch", features.patch}};
  for (const auto& [name, value] : model::timm_state(vit)) tensors.emplace("model/" + name, value);
  const auto path = test::fresh_folder("flowrun-timm") / "encoder.safetensors";
  test::save_tensors(path, tensors, {{"image", "32"}, {"patch", "8"}, {"width", "64"}, {"depth", "3"}, {"heads", "4"}, {"registers", "4"}});
  const auto ran = test::run_python("timm_check.py", path.string());
  std::filesystem::remove_all(path.parent_path());
  if (test::python_missing(ran)) GTEST_SKIP() << "timm is not installed (tools/setup --test): " << ran.output;
  ASSERT_EQ(ran.status, 0) << ran.output;
  EXPECT_LT(std::stod(ran.output), 1e-5) << ran.output;
}

}  // namespace
}  // namespace flowrun
