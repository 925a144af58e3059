// Fits on frozen features against scikit-learn and PyTorch.
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "nodes/lib/tensor/metric/logistic_math.h"
#include "nodes/lib/tensor/metric/selection.h"
#include "nodes/lib/tensor/metric/sweep.h"
#include "support/torch_reference.h"

namespace flowrun::eval {
namespace {

Tensor normal(int64_t rows, int64_t width, uint64_t item) {
  Tensor out = at::zeros({rows, width});
  Rng rng(1, 1, 0, item);
  for (int64_t i = 0; i < out.numel(); ++i) out.mutable_data_ptr<float>()[i] = static_cast<float>(rng.normal());
  return out;
}

/// Rows around one centre per class, which overlap.
struct Rows {
  Tensor values, labels;
  Rows(int64_t rows, int64_t width, int64_t classes, uint64_t item) {
    labels = at::arange(rows).remainder(classes);
    values = normal(rows, width, item).add(normal(classes, width, 99).index_select(0, labels), 0.7).add(0.5);
  }
};

constexpr int64_t kWidth = 7, kClasses = 4, kTrain = 300, kBatch = 32, kEpochs = 5;

TEST(Frozen, EqualsScikitLearnAndPyTorch) {
  const Rows train(kTrain, kWidth, kClasses, 1), test(200, kWidth, kClasses, 2);
  const Tensor start = normal(kClasses, kWidth, 3).mul(0.01);
  std::vector<Tensor> order;
  for (int64_t epoch = 0; epoch < kEpochs; ++epoch) order.push_back(at::arange(kTrain).mul(7 + 6 * epoch).remainder(kTrain));
  const int64_t total = kEpochs * (kTrain / kBatch);
  // The second head of a sweep of four; the others must not matter.
  SweepOptions options{.lrs = {1e-1, 1e-2}, .decays = {0, 0.3}, .epochs = kEpochs, .batch = kBatch, .warmup = 0.1};
  const auto folder = test::fresh_folder("flowrun-frozen");
  const auto path = folder / "case.safetensors";
  test::save_tensors(path,
                     {{"train", train.values},
                      {"train_labels", train.labels},
                      {"test", test.values},
                      {"test_labels", test.labels},
                      {"start", start},
                      {"order", at::stack(order)}},
                     {{"c", "0.7"}, {"lr", "0.01"}, {"decay", "0.3"}, {"batch", std::to_string(kBatch)}, {"warmup", std::to_string(total / 10)}});
  const auto ran = test::run_python("frozen_check.py", path.string());
  if (test::python_missing(ran)) GTEST_SKIP() << ran.output;
  double objective = 0, logistic_accuracy = 0, probe_accuracy = 0;
  ASSERT_EQ(std::sscanf(ran.output.c_str(), "%lf %lf %lf", &objective, &logistic_accuracy, &probe_accuracy), 3) << ran.output;
  const auto reference = test::load_tensors(path.string() + ".out");
  std::filesystem::remove_all(folder);

  const Tensor x = train.values.to(at::kDouble), y = test.values.to(at::kDouble);
  const Logistic fit = fit_logistic(x, train.labels, 0.7, {});
  EXPECT_TRUE(fit.converged);
  EXPECT_NEAR(fit.objective, objective, 1e-9);
  EXPECT_LT(test::max_error(fit.weights_CD, reference.at("coef")), 1e-5);
  EXPECT_LT(test::max_error(fit.bias_C, reference.at("intercept")), 1e-5);
  EXPECT_GT(logistic_accuracy, 0.5);
  EXPECT_EQ(fit.accuracy(y, test.labels), logistic_accuracy);

  const Sweep sweep = train_sweep(x, train.labels, start, options, [&](int64_t epoch) { return order[static_cast<size_t>(epoch)]; });
  EXPECT_LT(test::max_error(sweep.weights_HCD[3], reference.at("weight")), 1e-12);
  EXPECT_LT(test::max_error(sweep.bias_HC[3], reference.at("bias")), 1e-12);
  EXPECT_LT(test::max_error(sweep.mean_D, reference.at("mean")), 1e-12);
  EXPECT_LT(test::max_error(sweep.variance_D, reference.at("variance")), 1e-12);
  EXPECT_EQ(sweep.accuracy(y, test.labels)[3], probe_accuracy);
  EXPECT_GT(test::max_error(sweep.weights_HCD[2], sweep.weights_HCD[3]), 1e-3) << "the decay changed nothing";
}

TEST(Frozen, LogisticNamesClassesThatHaveGaps) {
  const Rows rows(60, kWidth, 3, 1);
  const Tensor names = at::tensor({2, 5, 9}, at::kLong), labels = names.index_select(0, rows.labels);
  const Logistic fit = fit_logistic(rows.values.to(at::kDouble), labels, 1.0, {});
  EXPECT_TRUE(fit.classes_C.equal(names));
  EXPECT_GT(fit.accuracy(rows.values.to(at::kDouble), labels), 0.6);
  EXPECT_THROW(fit_logistic(rows.values.to(at::kDouble), at::zeros({60}, at::kLong), 1.0, {}), std::invalid_argument);
}

TEST(Frozen, TheChosenPenaltyIsTheBestOnTheSelectionRows) {
  const Rows fit(60, kWidth, kClasses, 1), select(300, kWidth, kClasses, 2);
  const Tensor x = fit.values.to(at::kDouble), y = select.values.to(at::kDouble);
  const std::vector<double> cs = {1e4, 1e-2, 1e-6};
  const BestLogistic best = choose_logistic(x, fit.labels, y, select.labels, cs, {});
  double highest = 0;
  for (const double c : cs) highest = std::max(highest, fit_logistic(x, fit.labels, c, {}).accuracy(y, select.labels));
  EXPECT_EQ(best.accuracy, highest);
  EXPECT_EQ(best.fit.accuracy(y, select.labels), best.accuracy);
  EXPECT_EQ(best.c, 1e-2) << "neither without penalty nor with nothing but penalty";
}

TEST(Frozen, LbfgsFindsTheValleyOfRosenbrock) {
  const auto rosenbrock = [](const Tensor& x, Tensor& gradient) {
    const double a = x[0].item<double>(), b = x[1].item<double>();
    gradient = at::tensor({-2 * (1 - a) - 400 * a * (b - a * a), 200 * (b - a * a)}, at::kDouble);
    return (1 - a) * (1 - a) + 100 * (b - a * a) * (b - a * a);
  };
  const LbfgsResult found = minimise(rosenbrock, at::tensor({-1.2, 1.0}, at::kDouble), {});
  EXPECT_TRUE(found.converged);
  EXPECT_LT(found.iterations, 100);
  EXPECT_LT(test::max_error(found.x, at::tensor({1.0, 1.0}, at::kDouble)), 1e-6);
}

TEST(Frozen, HoldOutIsAShareAndDependsOnSeedAndRowsAlone) {
  const HeldOut a = hold_out(1000, 0.1, 5), again = hold_out(1000, 0.1, 5), other = hold_out(1000, 0.1, 6);
  EXPECT_EQ(a.held.numel(), 100);
  EXPECT_EQ(a.rest.numel(), 900);
  EXPECT_TRUE(std::get<0>(at::cat({a.held, a.rest}).sort()).equal(at::arange(1000)));
  EXPECT_TRUE(a.held.equal(again.held));
  EXPECT_FALSE(a.held.equal(other.held));
  EXPECT_EQ(hold_out(2, 0.9, 0).rest.numel(), 1);
  EXPECT_EQ(hold_out(3, 0.01, 0).held.numel(), 1);
  EXPECT_THROW(hold_out(1, 0.5, 0), std::invalid_argument);
}

}  // namespace
}  // namespace flowrun::eval
