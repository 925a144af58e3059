#include "nodes/lib/tensor/loss/views.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cosine_similarity.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <gmock/gmock.h>

#include "nodes/lib/tensor/model/rows.h"
#include "nodes/lib/tensor/target/sharpen.h"

namespace flowrun {
namespace {

/// sin(c + 0.7 i) at flat index i, float64.
Tensor wave(double c, at::IntArrayRef shape) {
  int64_t count = 1;
  for (const int64_t n : shape) count *= n;
  return at::arange(count, at::kDouble).mul(0.7).add(c).sin().reshape(shape);
}

double value(const Tensor& x) { return x.item<double>(); }

// Values of the formulas in float64 by PyTorch 2.11.
TEST(ViewLosses, HaveTheValuesOfTheFormulas) {
  const Tensor a = model::unit_rows(wave(1, {6, 4})), b = model::unit_rows(wave(2, {6, 4})), queue = model::unit_rows(wave(3, {5, 4}));
  EXPECT_NEAR(value(loss::info_nce(a, b, queue, 0.07)), 4.316667588, 1e-8);
  EXPECT_NEAR(2 + 2 * value(loss::negative_cosine(wave(1, {6, 4}), wave(2, {6, 4}), 1, loss::Pairs::same)), 0.841727752, 1e-8);
  const Tensor target = target::sharpened(wave(4, {6, 3}), wave(6, {3}), 0.04);
  EXPECT_NEAR(value(loss::soft_cross_entropy(wave(5, {6, 3}), {}, target, 1, 0, loss::Pairs::same, 0.1)), 4.175446558, 1e-8);
}

/// The pairs one by one: rows are picture * views + view.
double by_pairs(const Tensor& large, const Tensor& small, const Tensor& target, int64_t views, int64_t small_views, loss::Pairs kind, double t) {
  const auto of = [](const Tensor& x, int64_t all, int64_t view) { return x.reshape({-1, all, x.size(1)}).select(1, view); };
  double sum = 0, pairs = 0;
  for (int64_t q = 0; q < views; ++q) {
    for (int64_t v = 0; v < views + small_views; ++v) {
      if (kind == loss::Pairs::same ? v != q : v == q) continue;
      if (kind == loss::Pairs::cross && v >= views) continue;
      const Tensor x = v < views ? of(large, views, v) : of(small, small_views, v - views);
      sum += value(of(target, views, q).mul(x.div(t).log_softmax(-1)).sum(-1).mean().neg());
      pairs += 1;
    }
  }
  return sum / pairs;
}

TEST(ViewLosses, CompareThePairsThatTheyName) {
  const Tensor large = wave(1, {8, 5}), small = wave(2, {12, 5}), target = wave(3, {8, 5}).softmax(-1);
  for (const loss::Pairs kind : {loss::Pairs::all_but_same, loss::Pairs::cross, loss::Pairs::same}) {
    EXPECT_NEAR(value(loss::soft_cross_entropy(large, {}, target, 2, 0, kind, 0.3)), by_pairs(large, {}, target, 2, 0, kind, 0.3), 1e-12);
  }
  EXPECT_NEAR(value(loss::soft_cross_entropy(large, small, target, 2, 3, loss::Pairs::all_but_same, 0.3)),
              by_pairs(large, small, target, 2, 3, loss::Pairs::all_but_same, 0.3), 1e-12);
}

TEST(ViewLosses, DontChangeWhenTheTwoViewsAreExchanged) {
  const Tensor p = wave(1, {8, 5}), z = wave(2, {8, 5});
  const auto exchanged = [](const Tensor& x) { return x.reshape({-1, 2, 5}).flip(1).reshape({-1, 5}); };
  EXPECT_NEAR(value(loss::negative_cosine(p, z, 2, loss::Pairs::cross)),
              value(loss::negative_cosine(exchanged(p), exchanged(z), 2, loss::Pairs::cross)), 1e-12);
}

TEST(ViewLosses, StopTheGradientsOfTargetsKeysAndQueue) {
  const auto leaf = [](double c, at::IntArrayRef shape) { return wave(c, shape).requires_grad_(true); };
  const Tensor x = leaf(1, {4, 3}), y = leaf(2, {4, 3}), queue = leaf(3, {5, 3});
  loss::soft_cross_entropy(x, {}, y.softmax(-1), 2, 0, loss::Pairs::cross, 0.1)
      .add(loss::negative_cosine(x, y, 2, loss::Pairs::cross))
      .add(loss::info_nce(x, y, queue, 0.2))
      .backward();
  EXPECT_TRUE(x.grad().defined());
  EXPECT_FALSE(y.grad().defined());
  EXPECT_FALSE(queue.grad().defined());
}

TEST(ViewLosses, HaveTheirLimits) {
  const Tensor rows = at::eye(4, at::kDouble), uniform = at::full({4, 4}, 0.25, at::kDouble), none = at::full({3, 4}, 0.0, at::kDouble);
  EXPECT_NEAR(value(loss::info_nce(rows, rows, none, 0.5)), std::log(1 + 3 * std::exp(-2)), 1e-12) << "a queue at right angles";
  EXPECT_NEAR(value(loss::soft_cross_entropy(uniform, {}, uniform, 2, 0, loss::Pairs::cross, 0.1)), std::log(4), 1e-12);
  EXPECT_NEAR(value(loss::negative_cosine(rows, rows, 1, loss::Pairs::same)), -1, 1e-12);
}

TEST(ViewLosses, NameWhatDoesNotFit) {
  const auto fault = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  const Tensor six = wave(1, {6, 3}), five = wave(1, {5, 3}), wide = wave(1, {6, 4});
  EXPECT_THAT(fault([&] { loss::soft_cross_entropy(five, {}, five, 2, 0, loss::Pairs::cross, 1); }), testing::HasSubstr("5 rows"));
  EXPECT_THAT(fault([&] { loss::soft_cross_entropy(six, {}, six, 1, 0, loss::Pairs::cross, 1); }), testing::HasSubstr("needs two views"));
  EXPECT_THAT(fault([&] { loss::soft_cross_entropy(six, {}, six, 1, 0, loss::Pairs::all_but_same, 1); }), testing::HasSubstr("one view in all"));
  EXPECT_THAT(fault([&] { loss::soft_cross_entropy(six, {}, wide, 2, 0, loss::Pairs::cross, 1); }), testing::HasSubstr("3 scores, the target"));
  EXPECT_THAT(fault([&] { loss::info_nce(six, six, wide, 1); }), testing::HasSubstr("rows of the queue have 4"));
}

}  // namespace
}  // namespace flowrun
