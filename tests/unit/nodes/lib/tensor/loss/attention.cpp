// Losses of transformers' students, against PyTorch 2.11 in float64, and how alike two networks are.
#include "nodes/lib/tensor/loss/attention.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/zeros_like.h>
#include <functional>
#include <gmock/gmock.h>

#include "nodes/lib/tensor/loss/rows.h"
#include "nodes/lib/tensor/metric/compare_networks.h"

namespace flowrun {
namespace {

using loss::RowDistance, loss::RowForm;

/// sin(c + 0.7 i) at flat index i, float64.
Tensor wave(double c, at::IntArrayRef shape) {
  int64_t count = 1;
  for (const int64_t n : shape) count *= n;
  return at::arange(count, at::kDouble).mul(0.7).add(c).sin().reshape(shape);
}

double value(const Tensor& x) { return x.item<double>(); }

const Tensor query = wave(24, {2, 2, 5, 3}), key = wave(25, {2, 2, 5, 3}), values = wave(16, {2, 2, 5, 3});
// The teacher has wider heads; another one has four of them.
const Tensor wide_query = wave(26, {2, 2, 5, 4}), wide_key = wave(27, {2, 2, 5, 4}), teacher_values = wave(17, {2, 2, 5, 3});
const Tensor more_query = wave(28, {2, 4, 5, 3}), more_key = wave(29, {2, 4, 5, 3});

Tensor scores(const Tensor& own_query, bool divergence, bool mean) {
  const loss::ScoresOptions options{.divergence = divergence, .mean_of_heads = mean};
  return mean ? loss::attention_scores({own_query, key}, {more_query, more_key}, options)
              : loss::attention_scores({own_query, key}, {wide_query, wide_key}, options);
}

TEST(AttentionLoss, HasTheValuesOfTheFormulas) {
  EXPECT_NEAR(value(loss::relation(values, teacher_values, 0)), 0.071434677, 1e-8);
  EXPECT_NEAR(value(loss::relation(values, more_query, 3)), 0.09775569144020, 1e-10);
  EXPECT_NEAR(value(scores(query, false, false)), 0.59926328621549, 1e-10);
  EXPECT_NEAR(value(scores(query, true, false)), 0.21186739526816, 1e-10);
  EXPECT_NEAR(value(scores(query, false, true)), 0.01205735732756, 1e-10);
  EXPECT_NEAR(value(scores(query, true, true)), 0.00426012162488, 1e-10);
}

TEST(RowLoss, HasTheValuesOfTheFormulas) {
  const Tensor a = wave(30, {6, 5}), b = wave(31, {6, 5});
  EXPECT_NEAR(value(loss::row_difference(a, b, {})), 0.47816821608095, 1e-10);
  EXPECT_NEAR(value(loss::row_difference(a, b, {.form = RowForm::unit, .distance = RowDistance::l1})), 0.40102695080194, 1e-10);
  EXPECT_NEAR(value(loss::row_difference(a, b, {.form = RowForm::standard, .distance = RowDistance::smooth_l1, .beta = 0.5})), 0.74567481329305,
              1e-10);
  EXPECT_NEAR(value(loss::row_difference(a, b, {.sum_width = true})), 2.39084108040475, 1e-10);
}

struct Case {
  std::string name;
  std::function<Tensor(const Tensor& student, const Tensor& teacher)> loss;
  Tensor student, teacher;
};

std::vector<Case> cases() {
  const auto rows = [](RowForm form, RowDistance distance) {
    return [=](const Tensor& s, const Tensor& t) { return loss::row_difference(s, t, {.form = form, .distance = distance, .beta = 0.3}); };
  };
  const Tensor a = wave(30, {6, 5}), b = wave(31, {6, 5});
  return {{"relation", [](const Tensor& s, const Tensor& t) { return loss::relation(s, t, 0); }, values, teacher_values},
          {"relation of 3 heads", [](const Tensor& s, const Tensor& t) { return loss::relation(s, t, 3); }, values, more_query},
          {"scores",
           [](const Tensor& s, const Tensor& t) {
             return loss::attention_scores({s, key}, {t, wide_key}, {});
           },
           query, wide_query},
          {"attention",
           [](const Tensor& s, const Tensor& t) {
             return loss::attention_scores({query, s}, {wide_query, t}, {.divergence = true});
           },
           key, wide_key},
          {"mean attention",
           [](const Tensor& s, const Tensor& t) {
             return loss::attention_scores({s, key}, {t, more_key}, {.divergence = true, .mean_of_heads = true});
           },
           query, more_query},
          {"unit rows", rows(RowForm::unit, RowDistance::l1), a, b},
          {"standard rows", rows(RowForm::standard, RowDistance::smooth_l1), a, b},
          {"plain rows", rows(RowForm::plain, RowDistance::mse), a, b}};
}

TEST(AttentionLoss, HasTheGradientsOfItsValuesAndGivesNoneToTheTeacher) {
  for (const Case& of : cases()) {
    SCOPED_TRACE(of.name);
    const Tensor leaf = of.student.clone().requires_grad_(true), teacher = of.teacher.clone().requires_grad_(true);
    of.loss(leaf, teacher).backward();
    EXPECT_FALSE(teacher.grad().defined());
    double largest = 0;
    for (int64_t i = 0; i < leaf.numel(); i += 3) {
      Tensor step = at::zeros_like(of.student);
      step.view(-1)[i] = 1e-5;
      const double difference = (value(of.loss(of.student.add(step), of.teacher)) - value(of.loss(of.student.sub(step), of.teacher))) / 2e-5;
      EXPECT_NEAR(value(leaf.grad().flatten()[i]), difference, 1e-7) << i;
      largest = std::max(largest, std::abs(difference));
    }
    EXPECT_GT(largest, 1e-5);
  }
}

TEST(AttentionLoss, NamesWhatDoesNotFit) {
  const auto said = [](const std::function<void()>& work) -> std::string {
    try {
      work();
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(said([] { (void)loss::relation(values, more_query, 0); }), "the student has 2 heads, the teacher 4");
  EXPECT_EQ(said([] { (void)loss::relation(values, more_query, 4); }), "4 heads don't divide a width of 6");
  EXPECT_EQ(said([] { (void)loss::relation(values, teacher_values.narrow(2, 0, 4), 0); }),
            "the student has 2 images of 5 tokens, the teacher 2 of 4");
  EXPECT_EQ(said([] { (void)loss::row_difference(wave(1, {6, 5}), wave(1, {6, 4}), {}); }), "the student has 6 rows of width 5, the teacher 6 of 4");
}

TEST(CompareNetworks, HasTheValuesOfTheFormulas) {
  EXPECT_NEAR(eval::linear_cka(wave(32, {7, 3}), wave(33, {7, 4})), 0.05143814472109, 1e-10);
  const Tensor a = wave(32, {7, 3});
  EXPECT_NEAR(eval::linear_cka(a, a.flip({1}).mul(-3).add(5)), 1, 1e-12) << "the order of features, scales and shifts don't count";
  const Tensor both = eval::agreement(wave(34, {6, 4}).mul(3), wave(35, {6, 4}).mul(3));
  EXPECT_EQ(value(both[0]), 4);
  EXPECT_NEAR(value(both[1]), 2.31471533607772, 1e-10);
}

}  // namespace
}  // namespace flowrun
