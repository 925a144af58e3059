// The arithmetic of CRD and PS-KD, against PyTorch 2.11 in float64, and the tables with a row for each sample.
#include "nodes/lib/tensor/loss/contrast.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gmock/gmock.h>

#include "nodes/lib/tensor/model/bank.h"
#include "nodes/lib/tensor/model/memory.h"
#include "nodes/lib/tensor/model/rows.h"
#include "nodes/lib/tensor/target/past.h"

namespace flowrun {
namespace {

/// sin(c + 0.7 i) at flat index i, float64.
Tensor wave(double c, at::IntArrayRef shape) {
  int64_t count = 1;
  for (const int64_t n : shape) count *= n;
  return at::arange(count, at::kDouble).mul(0.7).add(c).sin().reshape(shape);
}

Tensor unit(double c, at::IntArrayRef shape) { return model::unit_rows(wave(c, shape)); }
double value(const Tensor& x) { return x.item<double>(); }
Tensor ids(const std::vector<int64_t>& values) { return at::tensor(values, at::kLong); }

const Tensor student = unit(20, {3, 4}), teacher = unit(21, {3, 4}), student_bank = unit(22, {7, 4}), teacher_bank = unit(23, {7, 4});
// Sample i, and three others.
const Tensor drawn = ids({0, 1, 3, 5, 1, 2, 4, 6, 2, 3, 5, 0}).reshape({3, 4});

TEST(Contrast, HasTheValueOfTheFormula) {
  const Tensor forward = loss::contrast_scores(student, teacher_bank, drawn, 0.3), back = loss::contrast_scores(teacher, student_bank, drawn, 0.3);
  const Tensor z = forward.mean().mul(7), z_back = back.mean().mul(7);
  EXPECT_NEAR(value(z), 45.127492266352, 1e-8);
  EXPECT_NEAR(value(z_back), 8.884355231462, 1e-8);
  EXPECT_NEAR(value(loss::contrast(forward, z, 7)), 7.234933348954, 1e-8);
  EXPECT_NEAR(value(loss::contrast(back, z_back, 7)), 0.676722762912, 1e-8);
  EXPECT_NEAR(value(loss::contrast(forward, at::tensor(5.0, at::kDouble), 7)), 7.769463003173, 1e-8);
}

TEST(Contrast, HasTheGradientOfItsValueAndGivesNoneToTheBank) {
  const auto loss = [](const Tensor& rows, const Tensor& bank) {
    return loss::contrast(loss::contrast_scores(rows, bank, drawn, 0.3), at::tensor(5.0, at::kDouble), 7);
  };
  const Tensor leaf = student.clone().requires_grad_(true), bank = teacher_bank.clone().requires_grad_(true);
  loss(leaf, bank).backward();
  EXPECT_FALSE(bank.grad().defined());
  for (int64_t i = 0; i < leaf.numel(); ++i) {
    Tensor step = at::zeros_like(student);
    step.view(-1)[i] = 1e-5;
    EXPECT_NEAR(value(leaf.grad().flatten()[i]), (value(loss(student.add(step), teacher_bank)) - value(loss(student.sub(step), teacher_bank))) / 2e-5,
                1e-7);
  }
}

TEST(Bank, MovesTheRowsOfItsSamplesAlone) {
  model::Bank bank(5, 4, 7);
  const Tensor before = bank.student_Md().clone();
  EXPECT_LE(value(before.abs().max().to(at::kDouble)), std::sqrt(3.0 / 4));
  EXPECT_GT(value(before.sub(bank.teacher_Md()).abs().min().to(at::kDouble)), 0) << "the two tables have numbers of their own";
  // Sample 3 comes twice: the last row counts.
  const Tensor rows = unit(1, {3, 4}).to(at::kFloat);
  bank.move({.ids_n = ids({3, 1, 3}), .student_nd = rows, .teacher_nd = rows}, 0.5);
  const Tensor moved = bank.student_Md();
  for (const int64_t sample : {0, 2, 4}) EXPECT_TRUE(moved[sample].equal(before[sample])) << sample;
  EXPECT_LT(value(moved[3].sub(model::unit_rows(before[3].add(rows[2]))).abs().max().to(at::kDouble)), 1e-6);
  EXPECT_LT(value(moved[1].sub(model::unit_rows(before[1].add(rows[1]))).abs().max().to(at::kDouble)), 1e-6);
}

TEST(Bank, KeepsItsFirstNormaliser) {
  model::Bank bank(5, 4, 7);
  EXPECT_EQ(value(bank.normaliser_2().sum().to(at::kDouble)), 0);
  bank.normalise_by(at::tensor({3.0, 4.0}));
  bank.normalise_by(at::tensor({5.0, 6.0}));
  EXPECT_TRUE(bank.normaliser_2().equal(at::tensor({3.0, 4.0}, at::kFloat)));
}

TEST(Past, SoftensTheLabelByWhatWasSaidBeforeIfAnything) {
  const Tensor past = at::tensor({0.2, 0.5, 0.3, 0.0, 0.0, 0.0}, at::kDouble).reshape({2, 3});
  const Tensor target = target::with_past(past, ids({0, 2}), 0.25);
  EXPECT_LT(value(target.sub(at::tensor({0.8, 0.125, 0.075, 0.0, 0.0, 1.0}, at::kDouble).reshape({2, 3})).abs().max()), 1e-15);
}

TEST(Memory, HoldsTheLastRowOfEachSample) {
  const model::Memory memory(4, 2);
  EXPECT_EQ(memory.table_bytes(), 32);
  model::write_rows(memory.probabilities_MC(), ids({2, 0, 2}), at::tensor({0.1, 0.9, 0.2, 0.8, 0.3, 0.7}, at::kDouble).reshape({3, 2}));
  EXPECT_TRUE(memory.probabilities_MC().flatten().equal(at::tensor({0.2, 0.8, 0.0, 0.0, 0.3, 0.7, 0.0, 0.0}, at::kFloat)));
}

}  // namespace
}  // namespace flowrun
