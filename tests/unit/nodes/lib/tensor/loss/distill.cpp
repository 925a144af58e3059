#include "nodes/lib/tensor/loss/distill.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <cmath>
#include <functional>
#include <gmock/gmock.h>

#include "nodes/lib/tensor/loss/classification.h"
#include "nodes/lib/tensor/loss/relations.h"
#include "nodes/lib/tensor/loss/stages.h"

namespace flowrun {
namespace {

/// sin(c + 0.7 i) at flat index i, float64.
Tensor wave(double c, at::IntArrayRef shape) {
  int64_t count = 1;
  for (const int64_t n : shape) count *= n;
  return at::arange(count, at::kDouble).mul(0.7).add(c).sin().reshape(shape);
}

double value(const Tensor& x) { return x.item<double>(); }

const Tensor student = wave(8, {6, 5}).mul(3), teacher = wave(9, {6, 5}).mul(3), labels = at::arange(6, at::kLong).remainder(5);
const Tensor map_s = wave(10, {6, 3, 2, 2}), map_t = wave(11, {6, 3, 2, 2}), high_s = wave(12, {6, 4, 2, 2}), high_t = wave(13, {6, 4, 2, 2});

std::string said(const std::function<void()>& work) {
  try {
    work();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

// Values of the formulas in float64 by PyTorch 2.11.
TEST(Distillation, HasTheValuesOfTheFormulasOfScores) {
  EXPECT_NEAR(value(loss::kl(student, loss::softened(teacher, 4), {.temperature = 4})), 1.645981465, 1e-8);
  EXPECT_NEAR(value(loss::kl(student, loss::softened(teacher, 4), {.temperature = 4, .over_elements = true})), 1.645981464659 / 5, 1e-8);
  EXPECT_NEAR(value(loss::kl(student, loss::softened(teacher, 1), {.temperature = 1, .divergence = loss::Divergence::js})), 0.209606775, 1e-8);
  EXPECT_NEAR(value(loss::kl(student, loss::softened(teacher, 1), {.temperature = 1, .divergence = loss::Divergence::reverse})), 1.079627786, 1e-8);
  EXPECT_NEAR(value(loss::cross_entropy(student, labels, 0)), 2.332499998, 1e-8);
  EXPECT_NEAR(value(loss::cross_entropy(student, labels, loss::smoothing_over_all(0.1, 5))), 2.374936350, 1e-8);
  EXPECT_NEAR(value(loss::dkd(student, teacher, labels, {.alpha = 1, .beta = 0})), 0.473205307, 1e-8);
  EXPECT_NEAR(value(loss::dkd(student, teacher, labels, {.alpha = 0, .beta = 1})), 1.545869075, 1e-8);
  const Tensor by_hand = at::full({6, 5}, 0.01 / 4, at::kDouble).scatter(1, labels.unsqueeze(1), 0.99);
  EXPECT_NEAR(value(loss::kl(student, loss::given(by_hand.div(20).softmax(1)), {.temperature = 1})), 1.059349614, 1e-8);
  EXPECT_NEAR(value(loss::squared_scores(student, teacher, false)), value(student.sub(teacher).square().mean()), 1e-12);
  EXPECT_NEAR(value(loss::squared_scores(student, teacher, true)), value(student.softmax(1).sub(teacher.softmax(1)).square().mean()), 1e-12);
}

TEST(Distillation, HasTheValuesOfTheFormulasOfStages) {
  EXPECT_NEAR(value(loss::attention_map(map_s, map_t)), 0.188353682, 1e-8);
  EXPECT_NEAR(value(loss::attention_map(map_s, map_t, loss::Distance::absolute)), 0.402587773, 1e-8);
  EXPECT_NEAR(value(loss::activation_boundaries(map_s, map_t, 1)), 8.789588870, 1e-8);
  EXPECT_NEAR(value(loss::activation_boundaries(map_s, map_t, 0.25)), 1.834890865, 1e-8);
  EXPECT_NEAR(value(loss::neuron_selectivity(map_s, map_t)), 1.016882315, 1e-8);
  EXPECT_NEAR(value(loss::solution_flow({map_s, high_s}, {map_t, high_t})), 0.005630431, 1e-8);
  EXPECT_NEAR(value(loss::hint(map_s, map_t)), value(map_s.sub(map_t).square().mean()), 1e-12);
  EXPECT_NEAR(value(loss::variational_information(map_s, map_t, at::full({3}, 5.0, at::kDouble))), 0.850686843, 1e-8);
}

TEST(Distillation, HasTheValuesOfTheFormulasOfRelations) {
  const Tensor rows_s = map_s.flatten(1), rows_t = map_t.flatten(1);
  EXPECT_NEAR(value(loss::similarity(rows_s, rows_t)), 0.003117279, 1e-8);
  EXPECT_NEAR(value(loss::probabilistic_transfer(rows_s, rows_t)), 0.001038902, 1e-8);
  EXPECT_NEAR(value(loss::relational_distance(rows_s, rows_t)), 0.002250611, 1e-8);
  EXPECT_NEAR(value(loss::relational_angle(rows_s, rows_t)), 0.002148457, 1e-8);
  EXPECT_NEAR(value(loss::gram(wave(14, {2, 5, 4}), wave(15, {2, 5, 4}))), 0.008201295, 1e-8);
}

struct Case {
  std::string name;
  std::function<Tensor(const Tensor& student, const Tensor& teacher)> loss;
  Tensor student, teacher;
};

std::vector<Case> cases() {
  const Tensor rows_s = map_s.flatten(1), rows_t = map_t.flatten(1);
  const auto attention = [](loss::Distance distance) {
    return [distance](const Tensor& s, const Tensor& t) { return loss::attention_map(s, t, distance); };
  };
  const auto boundaries = [](const Tensor& s, const Tensor& t) { return loss::activation_boundaries(s, t, 0.6); };
  const auto kl = [](loss::Divergence divergence) {
    return [divergence](const Tensor& s, const Tensor& t) { return loss::kl(s, loss::softened(t, 3), {.temperature = 3, .divergence = divergence}); };
  };
  return {
      {"kl", kl(loss::Divergence::forward), student, teacher},
      {"reverse", kl(loss::Divergence::reverse), student, teacher},
      {"js", kl(loss::Divergence::js), student, teacher},
      {"given", [](const Tensor& s, const Tensor& t) { return loss::kl(s, loss::given(t.softmax(1)), {.temperature = 2}); }, student, teacher},
      {"dkd", [](const Tensor& s, const Tensor& t) { return loss::dkd(s, t, labels, {}); }, student, teacher},
      {"scores", [](const Tensor& s, const Tensor& t) { return loss::squared_scores(s, t, false); }, student, teacher},
      {"probabilities", [](const Tensor& s, const Tensor& t) { return loss::squared_scores(s, t, true); }, student, teacher},
      {"attention", attention(loss::Distance::squared), map_s, map_t},
      {"attention of sizes", attention(loss::Distance::squared), wave(1, {2, 3, 4, 4}), wave(2, {2, 5, 2, 2})},
      {"factors", attention(loss::Distance::absolute), map_s, wave(3, {6, 5, 2, 2})},
      {"boundaries", boundaries, map_s, map_t},
      {"boundaries of sizes", boundaries, wave(1, {2, 3, 4, 4}), wave(2, {2, 3, 2, 2})},
      {"nst", loss::neuron_selectivity, map_s, wave(3, {6, 5, 4, 4})},
      {"hint", loss::hint, wave(1, {2, 3, 4, 4}), wave(2, {2, 3, 2, 2})},
      {"vid", [](const Tensor& s, const Tensor& t) { return loss::variational_information(s, t, wave(1, {3}).add(2)); }, map_s, map_t},
      {"fsp",
       [](const Tensor& s, const Tensor& t) {
         return loss::solution_flow({s, high_s.sin()}, {t, high_t});
       },
       wave(1, {6, 3, 4, 4}), map_t},
      {"similarity", loss::similarity, rows_s, wave(3, {6, 7})},
      {"pkt", loss::probabilistic_transfer, rows_s, wave(3, {6, 7})},
      {"distance", loss::relational_distance, rows_s, wave(3, {6, 7})},
      {"angle", loss::relational_angle, rows_s, wave(3, {6, 7})},
      {"gram", loss::gram, wave(14, {2, 5, 4}), wave(15, {2, 5, 3})},
  };
}

TEST(Distillation, HasTheGradientsOfItsValues) {
  for (const Case& of : cases()) {
    SCOPED_TRACE(of.name);
    const Tensor leaf = of.student.clone().requires_grad_(true);
    of.loss(leaf, of.teacher).backward();
    const Tensor flat = leaf.grad().flatten();
    double largest = 0;
    for (int64_t i = 0; i < leaf.numel(); i += 3) {
      Tensor step = at::zeros_like(of.student);
      step.view(-1)[i] = 1e-5;
      const double difference = (value(of.loss(of.student.add(step), of.teacher)) - value(of.loss(of.student.sub(step), of.teacher))) / 2e-5;
      EXPECT_NEAR(value(flat[i]), difference, 1e-7) << i;
      largest = std::max(largest, std::abs(difference));
    }
    EXPECT_GT(largest, 1e-5);
  }
}

TEST(Distillation, CongruenceIsOfConsecutiveRowsWithGradientsToBothSides) {
  const Tensor s = at::tensor({1.0, 0.0, 3.0, 1.0, 0.0, 2.0}, at::kDouble).view({3, 2}).requires_grad_(true);
  const Tensor t = at::tensor({0.0, 0.0, 1.0, 4.0, 2.0, 0.0}, at::kDouble).view({3, 2}).requires_grad_(true);
  // |s - t|: 1 0, 2 3, 2 2. Products of neighbours: 2 + 0, 4 + 6.
  const Tensor found = loss::correlation_congruence(s, t);
  EXPECT_NEAR(value(found), (2 + 10) / 2.0, 1e-12);
  found.backward();
  const Tensor expected = at::tensor({2.0, 0.0, 3.0, -2.0, -2.0, 3.0}, at::kDouble).view({3, 2}).div(2);
  EXPECT_EQ(value(s.grad().sub(expected).abs().max()), 0);
  EXPECT_EQ(value(t.grad().add(expected).abs().max()), 0);
  EXPECT_THROW(loss::correlation_congruence(s, t.narrow(0, 0, 2)), std::invalid_argument);
  EXPECT_THROW(loss::correlation_congruence(s.narrow(0, 0, 1), t.narrow(0, 0, 1)), std::invalid_argument);
}

/// As RepDistiller's code has the formula, with its two cases.
TEST(Distillation, BoundariesAreThoseOfTheirTwoCases) {
  const Tensor s = map_s.clone().requires_grad_(true), plain = map_s.clone().requires_grad_(true);
  const Tensor above = plain.add(0.6).square().mul(plain.gt(-0.6).logical_and(map_t.le(0)));
  const Tensor below = plain.sub(0.6).square().mul(plain.le(0.6).logical_and(map_t.gt(0)));
  const Tensor expected = above.add(below).sum().div(6), found = loss::activation_boundaries(s, map_t, 0.6);
  EXPECT_NEAR(value(found), value(expected), 1e-12);
  found.backward(), expected.backward();
  EXPECT_LT(value(s.grad().sub(plain.grad()).abs().max()), 1e-12);
  EXPECT_EQ(value(loss::activation_boundaries(map_t.sign(), map_t, 1)), 0);
  const auto of = [](const Tensor& from, const Tensor& to) { return value(loss::activation_boundaries(from, to, 0.6)); };
  const double stages = of(map_s, map_t) / 4 + of(high_s, high_t) / 2 + of(map_t, map_s);
  EXPECT_NEAR(value(loss::activation_boundaries(std::vector<Tensor>{map_s, high_s, map_t}, {map_t, high_t, map_s}, 0.6)), stages, 1e-12);
}

TEST(Distillation, GivesNoGradientToTheTeacher) {
  for (const Case& of : cases()) {
    const Tensor own = of.student.clone().requires_grad_(true), others = of.teacher.clone().requires_grad_(true);
    of.loss(own, others).backward();
    EXPECT_TRUE(own.grad().defined()) << of.name;
    EXPECT_FALSE(others.grad().defined()) << of.name;
  }
  const Tensor high = high_t.clone().requires_grad_(true);
  loss::solution_flow({map_s.clone().requires_grad_(true), high_s}, {map_t, high}).backward();
  EXPECT_FALSE(high.grad().defined());
}

TEST(Distillation, IsZeroWhereBothAgree) {
  for (const Case& of : cases()) {
    if (of.name == "vid") continue;                   // log v stays
    if (of.name.starts_with("boundaries")) continue;  // values within the margin stay
    if (of.name == "fsp" || of.name == "given") continue;
    EXPECT_NEAR(value(of.loss(of.student, of.student)), 0, 1e-12) << of.name;
  }
  EXPECT_NEAR(value(loss::solution_flow({map_s, high_s}, {map_s, high_s})), 0, 1e-15);
}

TEST(Distillation, IsTheUsualLossWhereItsPartsAreSummed) {
  // KL = KL of (label, others) + (1 - q_label) x KL of the others.
  const Tensor kl = loss::kl(student, loss::softened(teacher, 2), {.temperature = 2});
  double sum = 0;
  for (int64_t i = 0; i < 6; ++i) {
    const auto of = [&](double alpha, double beta) {
      return value(
          loss::dkd(student.narrow(0, i, 1), teacher.narrow(0, i, 1), labels.narrow(0, i, 1), {.alpha = alpha, .beta = beta, .temperature = 2}));
    };
    const double q = teacher.div(2).softmax(1)[i][labels[i].item<int64_t>()].item<double>();
    sum += of(1, 0) + (1 - q) * of(0, 1);
  }
  EXPECT_NEAR(value(kl), sum / 6, 1e-10);
}

TEST(Distillation, TakesProbabilitiesOfZeroAndWeights) {
  const Tensor onehot = at::zeros({6, 5}, at::kDouble).scatter(1, labels.unsqueeze(1), 1);
  EXPECT_NEAR(value(loss::kl(student, loss::given(onehot), {.temperature = 1})), 2.332499998, 1e-8) << "cross-entropy of the label";
  const Tensor first = at::cat({at::full({1}, 6.0, at::kDouble), at::zeros({5}, at::kDouble)});
  EXPECT_NEAR(value(loss::kl(student, loss::given(onehot), {.temperature = 1}, first)), value(student.log_softmax(1)[0][0].neg()), 1e-10);
}

TEST(Distillation, StaysFiniteForRowsThatAreEqual) {
  const Tensor rows = wave(1, {3, 4}).repeat({2, 1}).requires_grad_(true), others = wave(2, {6, 5});
  loss::relational_angle(rows, others).add(loss::relational_distance(rows, others)).backward();
  EXPECT_LT(value(rows.grad().abs().max()), 10);
}

TEST(Distillation, NamesWhatDoesNotFit) {
  EXPECT_EQ(said([] { loss::kl(student, loss::softened(wave(1, {6, 4}), 1), {}); }), "the student has 6 rows of 5 scores, the teacher 6 of 4");
  EXPECT_EQ(said([] { loss::dkd(student, teacher, labels.narrow(0, 0, 5), {}); }), "there are 6 rows of scores, but 5 labels");
  EXPECT_EQ(said([] { loss::activation_boundaries(map_s, high_t, 1); }),
            "the student's map has 3 channels, the teacher's 4: channel is compared with channel");
  EXPECT_EQ(said([] { loss::hint(map_s, high_t); }), "the student's map has 3 channels, the teacher's 4: channel is compared with channel");
  EXPECT_EQ(said([] {
              loss::solution_flow({map_s, map_s}, {map_t, high_t});
            }),
            "the student's map has 3 channels, the teacher's 4: channel is compared with channel");
  EXPECT_EQ(said([] {
              loss::attention_map(wave(1, {2, 3, 4, 2}), wave(1, {2, 3, 2, 4}));
            }),
            "maps of 4x2 and 2x4 don't fit: one is higher, the other wider");
  EXPECT_EQ(said([] { loss::attention_map(map_s, map_t.narrow(0, 0, 5)); }), "there are maps of 6 images and of 5");
  EXPECT_EQ(said([] { loss::similarity(wave(1, {6, 3}), wave(1, {5, 3})); }), "the student has 6 rows, the teacher 5");
  EXPECT_EQ(said([] { loss::relational_angle(wave(1, {1, 3}), wave(1, {1, 3})); }), "relations need two rows at least");
  EXPECT_EQ(said([] { loss::gram(wave(1, {2, 4, 3}), wave(1, {2, 9, 3})); }), "the student has 2 images of 4 tokens, the teacher 2 of 9");
  EXPECT_EQ(said([] { (void)loss::smoothing_over_all(0.9, 2); }), "a label of 2 classes can't leave 0.900000 to the others");
}

}  // namespace
}  // namespace flowrun
