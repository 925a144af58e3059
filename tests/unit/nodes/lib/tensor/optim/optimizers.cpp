// SGD against PyTorch's, LARS against its formulas, and what holds for the optimizer of every rule.
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros_like.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "nodes/lib/tensor/optim/adamw_math.h"
#include "nodes/lib/tensor/optim/lars_rule.h"
#include "nodes/lib/tensor/optim/optimizer.h"
#include "nodes/lib/tensor/optim/sgd_rule.h"
#include "support/torch_reference.h"

namespace flowrun::train {
namespace {

using model::Parameters;
using test::TensorMap;

constexpr double decay = 0.02;  // of make_optimizers.py
constexpr int64_t steps = 5;

struct Case {
  std::string name;
  std::shared_ptr<const Rule> rule;
  Decayed decayed;
  double weight_decay;
};

std::vector<Case> cases() {
  const auto sgd = [](const std::string& name, SgdOptions options, double weight_decay) {
    return Case{name, std::make_shared<SgdRule>(options), {.everything = true}, weight_decay};
  };
  const auto lars = [](const std::string& name, LarsForm form, double eta, double weight_decay, bool one_axis = false) {
    return Case{name, std::make_shared<LarsRule>(LarsOptions{.form = form, .eta = eta, .one_axis = one_axis}), {}, weight_decay};
  };
  return {sgd("sgd", {.momentum = 0}, 0),
          sgd("sgd_decay", {.momentum = 0}, decay),
          sgd("sgd_momentum", {}, 0),
          sgd("sgd_momentum_decay", {}, decay),
          sgd("sgd_nesterov", {.momentum = 0.8, .nesterov = true}, decay),
          lars("lars", LarsForm::decoupled, 0.001, decay),
          lars("lars_plain", LarsForm::decoupled, 0.05, 0),
          lars("lars_classic", LarsForm::classic, 0.01, decay),
          lars("lars_clip", LarsForm::clip, 0.02, decay),
          lars("lars_clipped", LarsForm::clip, 2, decay),
          lars("lars_all", LarsForm::decoupled, 0.001, decay, true)};
}

/// Parameters with the reference's first values.
Parameters first_values(const TensorMap& reference) {
  Parameters parameters;
  for (const auto& [name, value] : reference) {
    if (!name.starts_with("first/")) continue;
    parameters.add(name.substr(6), value.sizes().vec(), model::Init::linear);
  }
  parameters.to(at::kCPU, reference.at("first/matrix").scalar_type());
  for (const model::Parameter& parameter : parameters) parameters.assign(parameter.name, reference.at("first/" + parameter.name));
  return parameters;
}

void step(Optimizer& optimizer, Parameters& parameters, const TensorMap& reference, int64_t number, double weight_decay) {
  for (const model::Parameter& parameter : parameters) {
    parameter.value.mutable_grad() = reference.at("gradient" + std::to_string(number) + "/" + parameter.name).clone();
  }
  optimizer.step(reference.at("lr")[number - 1].item<double>(), weight_decay);
}

class Optimizers : public testing::TestWithParam<std::tuple<size_t, const char*>> {
 protected:
  void SetUp() override {
    const auto [index, dtype] = GetParam();
    setup = cases()[index];
    std::string missing;
    const auto folder = test::reference_folder(missing, "make_optimizers.py");
    if (folder.empty()) GTEST_SKIP() << missing;
    reference = test::load_tensors(folder / ("optimizers_" + std::string(dtype) + ".safetensors"));
    tolerance = dtype == std::string("float64") ? 1e-14 : 1e-6;
  }

  Case setup;
  TensorMap reference;
  double tolerance = 0;
};

TEST_P(Optimizers, EveryStepIsThatOfTheReference) {
  Parameters parameters = first_values(reference);
  Optimizer optimizer(setup.rule, setup.decayed);
  optimizer.add("m", parameters);
  for (int64_t number = 1; number <= steps; ++number) {
    step(optimizer, parameters, reference, number, setup.weight_decay);
    for (const model::Parameter& parameter : parameters) {
      const std::string name = "after" + std::to_string(number) + "/" + setup.name + "/" + parameter.name;
      EXPECT_LE(test::max_error(parameter.value, reference.at(name)), tolerance) << name;
      EXPECT_TRUE(at::equal(parameter.value.grad(), reference.at("gradient" + std::to_string(number) + "/" + parameter.name))) << "gradients stay";
    }
  }
  const auto state = optimizer.state();
  EXPECT_EQ(state.size(), setup.rule->slots().size() * parameters.size());
  for (const auto& [name, value] : state) {
    const std::string parameter = name.substr(2, name.rfind('.') - 2);
    EXPECT_EQ(name, "m." + parameter + ".momentum_buffer");
    EXPECT_LE(test::max_error(value, reference.at("state/" + setup.name + "/" + parameter)), tolerance) << name;
  }
}

TEST_P(Optimizers, GoesOnFromItsState) {
  Parameters whole = first_values(reference), parts = first_values(reference);
  Optimizer optimizer(setup.rule, setup.decayed), first(setup.rule, setup.decayed), second(setup.rule, setup.decayed);
  optimizer.add("m", whole), first.add("m", parts), second.add("m", parts);
  for (int64_t number = 1; number <= steps; ++number) {
    step(optimizer, whole, reference, number, setup.weight_decay);
    if (number == 4) {
      for (const auto& [name, value] : first.state()) second.restore(name, value);
    }
    step(number < 4 ? first : second, parts, reference, number, setup.weight_decay);
  }
  for (size_t i = 0; i < whole.size(); ++i) EXPECT_TRUE(at::equal(whole[i], parts[i])) << whole.at(i).name;
}

/// Casts of weights are made anew where the version has changed alone.
TEST_P(Optimizers, RaisesTheVersionOfWhatItUpdates) {
  Parameters parameters = first_values(reference);
  Optimizer optimizer(setup.rule, setup.decayed);
  optimizer.add("m", parameters);
  for (int64_t number = 2; number <= 3; ++number) {
    std::vector<uint32_t> before;
    for (const model::Parameter& parameter : parameters) before.push_back(parameter.value._version());
    step(optimizer, parameters, reference, number, setup.weight_decay);
    for (size_t i = 0; i < parameters.size(); ++i) EXPECT_GT(parameters[i]._version(), before[i]) << parameters.at(i).name;
  }
}

std::string name_of(const testing::TestParamInfo<Optimizers::ParamType>& info) {
  return cases()[std::get<0>(info.param)].name + "_" + std::get<1>(info.param);
}

INSTANTIATE_TEST_SUITE_P(Rules, Optimizers, testing::Combine(testing::Range<size_t>(0, cases().size()), testing::Values("float32", "float64")),
                         name_of);

Parameters few_parameters() {
  Parameters parameters;
  parameters.add("weight", {2, 2}, model::Init::ones);
  parameters.add("norm.bias", {2}, model::Init::ones);
  parameters.add("cls_token", {1, 1, 2}, model::Init::token);
  parameters.assign("cls_token", at::ones({1, 1, 2}));
  return parameters;
}

/// One step without slope: what decays shrinks.
std::vector<std::string> decaying(Decayed decayed) {
  Parameters parameters = few_parameters();
  Optimizer optimizer(std::make_shared<SgdRule>(), decayed);
  optimizer.add("m", parameters);
  for (const model::Parameter& parameter : parameters) parameter.value.mutable_grad() = at::zeros_like(parameter.value);
  optimizer.step(0.5, 0.1);
  std::vector<std::string> names;
  for (const model::Parameter& parameter : parameters) {
    const double value = parameter.value.max().item<double>();
    if (value < 1) names.push_back(parameter.name);
    EXPECT_NEAR(value, value < 1 ? 0.95 : 1, 1e-7) << parameter.name;
  }
  return names;
}

TEST(Optimizer, DecaysWhatItIsToldTo) {
  EXPECT_THAT(decaying({}), testing::ElementsAre("weight", "cls_token"));
  EXPECT_THAT(decaying({.tokens = false}), testing::ElementsAre("weight"));
  EXPECT_THAT(decaying({.everything = true}), testing::ElementsAre("weight", "norm.bias", "cls_token"));
  EXPECT_THAT(decaying({.tokens = false, .everything = true}), testing::ElementsAre("weight", "norm.bias"));
}

TEST(Optimizer, LarsScalesTokensThatDoNotDecay) {
  Parameters parameters = few_parameters();
  Optimizer optimizer(std::make_shared<LarsRule>(LarsOptions{.eta = 0.01}), {.tokens = false});
  optimizer.add("m", parameters);
  for (const model::Parameter& parameter : parameters) parameter.value.mutable_grad() = at::ones_like(parameter.value).mul(2);
  optimizer.step(0.5, 10);
  EXPECT_NEAR(parameters.get("weight").max().item<double>(), 1 - 0.5 * 0.01, 1e-7) << "as long as eta |w|, whatever the decay";
  EXPECT_NEAR(parameters.get("cls_token").max().item<double>(), 1 - 0.5 * 0.01, 1e-7);
  EXPECT_NEAR(parameters.get("norm.bias").max().item<double>(), 1 - 0.5 * 2, 1e-7) << "the gradient as it is";
}

TEST(Optimizer, RatesAndPartsArePerParameter) {
  Parameters parameters = few_parameters();
  Optimizer optimizer(std::make_shared<SgdRule>());
  optimizer.add("m", parameters, 0.5, {.factors = {1, 0.1, 1}, .kept = {true, true, false}, .steady = {}, .undecayed = {}});
  for (const model::Parameter& parameter : parameters) parameter.value.mutable_grad() = at::ones_like(parameter.value);
  optimizer.step(0.2, 0);
  EXPECT_NEAR(parameters.get("weight").max().item<double>(), 1 - 0.1, 1e-7);
  EXPECT_NEAR(parameters.get("norm.bias").max().item<double>(), 1 - 0.01, 1e-7);
  EXPECT_EQ(parameters.get("cls_token").max().item<double>(), 1) << "another rank's";
  EXPECT_EQ(optimizer.state().size(), 2u);
  optimizer.restore("m.cls_token.momentum_buffer", at::ones({1, 1, 2}));
  EXPECT_EQ(optimizer.state().size(), 2u) << "states of other ranks are passed over";
}

TEST(Optimizer, SteadyRatesAndUndecayedNamesArePerParameter) {
  Parameters parameters = few_parameters();
  Optimizer optimizer(std::make_shared<SgdRule>(), {.everything = true});
  optimizer.add("m", parameters, 1, {.factors = {}, .kept = {}, .steady = {false, true, true}, .undecayed = {true, false, true}});
  for (const model::Parameter& parameter : parameters) parameter.value.mutable_grad() = at::ones_like(parameter.value);
  optimizer.step(0.2, 1, /*resting=*/false, /*steady_lr=*/0.1);
  EXPECT_NEAR(parameters.get("weight").max().item<double>(), 1 - 0.2, 1e-7);
  EXPECT_NEAR(parameters.get("norm.bias").max().item<double>(), 1 - 0.1 * 2, 1e-7) << "steady, and decays";
  EXPECT_NEAR(parameters.get("cls_token").max().item<double>(), 1 - 0.1, 1e-7);
}

TEST(Optimizer, RefusesStatesOfAnotherRule) {
  Parameters parameters = few_parameters();
  Optimizer sgd(std::make_shared<SgdRule>());
  sgd.add("m", parameters);
  EXPECT_THROW(sgd.restore("m.weight.exp_avg", at::ones({2, 2})), std::invalid_argument);
  EXPECT_THROW(sgd.restore("m.weight.momentum_buffer", at::ones({3})), std::invalid_argument);
  AdamW adamw;
  adamw.add("m", parameters);
  EXPECT_THROW(adamw.restore("m.weight.momentum_buffer", at::ones({2, 2})), std::invalid_argument);
}

}  // namespace
}  // namespace flowrun::train
