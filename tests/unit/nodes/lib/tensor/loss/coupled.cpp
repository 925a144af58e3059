#include "nodes/lib/tensor/loss/coupled.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>
#include <cmath>
#include <functional>
#include <gmock/gmock.h>

#include "nodes/lib/tensor/loss/coupling.h"
#include "nodes/lib/tensor/loss/views.h"
#include "nodes/lib/tensor/model/rows.h"
#include "nodes/lib/tensor/target/sinkhorn.h"

namespace flowrun {
namespace {

/// sin(c + 0.7 i) at flat index i, float64.
Tensor wave(double c, at::IntArrayRef shape) {
  int64_t count = 1;
  for (const int64_t n : shape) count *= n;
  return at::arange(count, at::kDouble).mul(0.7).add(c).sin().reshape(shape);
}

double value(const Tensor& x) { return x.item<double>(); }

/// Rows of two views, those of a picture side by side.
Tensor views(const Tensor& a, const Tensor& b) { return at::stack({a, b}, 1).flatten(0, 1); }

const Tensor a = wave(1, {6, 4}), b = wave(2, {6, 4});
const Tensor unit_a = model::unit_rows(a), unit_b = model::unit_rows(b);

// Values of the formulas in float64 by PyTorch 2.11.
TEST(CoupledLosses, HaveTheValuesOfTheFormulas) {
  EXPECT_NEAR(value(loss::nt_xent(views(unit_a, unit_b), 2, 0.5)), 1.916305555, 1e-8);
  EXPECT_NEAR(value(loss::nt_xent(views(unit_a, unit_b), 2, 0.2)), 2.439531900, 1e-8);
  EXPECT_NEAR(value(loss::key_contrast(views(unit_a, unit_b), views(unit_a, unit_b), 2, 0.2)), 1.538502428, 1e-8);
  EXPECT_NEAR(value(loss::barlow_twins(views(a, b), 2, 0.0051)), 0.945168808, 1e-8);
  EXPECT_NEAR(value(loss::vicreg(views(a, b), 2, {1, 0, 0})), 0.434131573, 1e-8);
  EXPECT_NEAR(value(loss::vicreg(views(a, b), 2, {0, 1, 0})), 0.233172233, 1e-8);
  EXPECT_NEAR(value(loss::vicreg(views(a, b), 2, {0, 0, 1})), 1.071272644, 1e-8);
  EXPECT_NEAR(value(loss::vicreg(views(a, b), 2, {})), 17.753867796, 1e-8);
  const Tensor columns = wave(7, {4, 8});
  EXPECT_NEAR(value(loss::lejepa(a, 1, columns.div(columns.norm(2, {0}, true)), 1)), 0.639709577, 1e-8);
  EXPECT_NEAR(value(loss::koleo(a, 1)), 0.481441814, 1e-8);
  EXPECT_NEAR(value(loss::mmcr(views(unit_a, unit_b), 2, 0)), -2.976335899, 1e-8);
  EXPECT_NEAR(value(loss::mmcr(views(unit_a, unit_b), 2, 0.3)), -2.404976239, 1e-8);
}

TEST(CoupledLosses, HaveTheLimitsOfSimpleRows) {
  const Tensor orthonormal = at::eye(5, 8, at::kDouble);
  EXPECT_NEAR(value(loss::nt_xent(views(orthonormal, orthonormal), 2, 0.3)), std::log(1 + 2 * 4 * std::exp(-1 / 0.3)), 1e-12);
  EXPECT_NEAR(value(loss::pair_contrast(orthonormal.mul(10), orthonormal)), std::log(1 + 4 * std::exp(-10.0)), 1e-12);
  // Means that are orthogonal: a singular value of 1 for each picture.
  EXPECT_NEAR(value(loss::mmcr(views(orthonormal, orthonormal), 2, 0)), -5, 1e-12);
  EXPECT_NEAR(value(loss::mmcr(views(orthonormal, orthonormal), 2, 1)), std::sqrt(2.0) - 5, 1e-12);
  const Tensor same = at::ones({6, 4}, at::kDouble);
  EXPECT_NEAR(value(loss::koleo(same, 2)), -std::log(1e-8 + std::sqrt(4.0) * 1e-8), 1e-6);
  // Uncorrelated columns: only eps remains.
  const Tensor columns = at::cat({at::eye(4, at::kDouble), at::eye(4, at::kDouble).neg()});
  EXPECT_NEAR(value(loss::barlow_twins(views(columns, columns), 2, 0.0051)), 0, 1e-6);
}

TEST(CoupledLosses, DontChangeWhenTheTwoViewsAreExchanged) {
  const Tensor one = views(unit_a, unit_b), other = views(unit_b, unit_a);
  EXPECT_NEAR(value(loss::nt_xent(one, 2, 0.2)), value(loss::nt_xent(other, 2, 0.2)), 1e-12);
  EXPECT_NEAR(value(loss::barlow_twins(one, 2, 0.01)), value(loss::barlow_twins(other, 2, 0.01)), 1e-12);
  EXPECT_NEAR(value(loss::vicreg(one, 2, {})), value(loss::vicreg(other, 2, {})), 1e-12);
  EXPECT_NEAR(value(loss::lejepa(one, 2, at::eye(4, at::kDouble), 0.1)), value(loss::lejepa(other, 2, at::eye(4, at::kDouble), 0.1)), 1e-12);
}

/// The gradient against differences.
void expect_gradient(const Tensor& x, const std::function<Tensor(const Tensor&)>& f) {
  const Tensor leaf = x.clone().requires_grad_(true);
  f(leaf).backward();
  const Tensor flat = leaf.grad().flatten();
  for (int64_t i = 0; i < x.numel(); i += 5) {
    Tensor step = at::zeros_like(x);
    step.view(-1)[i] = 1e-5;
    EXPECT_NEAR(value(flat[i]), (value(f(x.add(step))) - value(f(x.sub(step)))) / 2e-5, 1e-6) << i;
  }
}

TEST(CoupledLosses, HaveTheGradientsOfTheirValues) {
  const Tensor z = views(a, b);
  expect_gradient(z, [](const Tensor& x) { return loss::nt_xent(model::unit_rows(x), 2, 0.2); });
  expect_gradient(z, [&](const Tensor& x) { return loss::key_contrast(model::unit_rows(x), model::unit_rows(z), 2, 0.2); });
  expect_gradient(z, [](const Tensor& x) { return loss::barlow_twins(x, 2, 0.01); });
  expect_gradient(z, [](const Tensor& x) { return loss::vicreg(x, 2, {}); });
  expect_gradient(z, [](const Tensor& x) { return loss::lejepa(x, 2, at::eye(4, at::kDouble), 0.1); });
  expect_gradient(z, [](const Tensor& x) { return loss::koleo(x, 2); });
  // Waves have singular values of 0, where a nuclear norm has no gradient.
  expect_gradient(z.pow(3), [](const Tensor& x) { return loss::mmcr(model::unit_rows(x), 2, 0.3); });
}

TEST(CoupledLosses, GiveNoGradientToKeys) {
  const Tensor keys = views(unit_a, unit_b).requires_grad_(true);
  const Tensor loss = loss::key_contrast(views(unit_b, unit_a).requires_grad_(true), keys, 2, 0.2);
  loss.backward();
  EXPECT_FALSE(keys.grad().defined());
}

TEST(CoupledLosses, NameTheViewsTheyNeed) {
  const auto said = [](const std::function<void()>& work) -> std::string {
    try {
      work();
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(said([] { loss::nt_xent(a, 1, 0.1); }), "the loss compares two views of a picture, and there is 1");
  EXPECT_EQ(said([] { loss::barlow_twins(a, 3, 0.1); }), "the loss compares two views of a picture, and there are 3");
  EXPECT_EQ(said([] { loss::vicreg(a, 1, {}); }), "the loss compares two views of a picture, and there is 1");
  EXPECT_EQ(said([] { loss::vicreg(a, 1, {0, 1, 1}); }), "");
  EXPECT_EQ(said([] { loss::key_contrast(a, wave(1, {6, 3}), 2, 0.1); }), "query has 6 rows of 4, key 6 of 3");
}

// A network's gradient by the whole loss, and by the parts that groups are given.
TEST(Coupling, GivesTheGradientOfOnePassOverTheWholeBatch) {
  const Tensor x = wave(3, {32, 20}), w1 = wave(4, {20, 64}).mul(0.2), w2 = wave(5, {64, 16}).mul(0.2);
  const auto embed = [](const Tensor& rows, const Tensor& first, const Tensor& second) {
    return model::unit_rows(rows.matmul(first).relu().matmul(second));
  };
  const auto nt_xent = [](const Tensor& z) { return loss::nt_xent(z, 2, 0.2); };
  const Tensor first = w1.clone().requires_grad_(true), second = w2.clone().requires_grad_(true);
  const Tensor expected = nt_xent(embed(x, first, second));
  expected.backward();
  const RunInfo run;
  for (const int64_t groups : {1, 2, 4, 8}) {
    SCOPED_TRACE(groups);
    const Tensor own_first = w1.clone().requires_grad_(true), own_second = w2.clone().requires_grad_(true);
    loss::Coupling coupling;
    std::vector<Vectors> passes;
    const auto context = [&](int64_t g) { return FoldContext{run, g, groups, 32 / groups, 0, 1, LedgerEntry(nullptr)}; };
    for (int64_t g = 0; g < groups; ++g) {
      passes.push_back(
          {.values_nD = embed(x.narrow(0, g * 32 / groups, 32 / groups), own_first, own_second), .views = 2, .image_n = {}, .images = 0});
      coupling.take({&passes.back()}, context(g));
    }
    coupling.run(WholeContext{run, 0, 0, 0, 1, groups, 0, groups}, [&](const std::vector<Tensor>& z) { return nt_xent(z[0]); });
    for (int64_t g = 0; g < groups; ++g) {
      Coupled part;
      coupling.give(context(g), part);
      EXPECT_EQ(value(part.shown), value(expected));
      EXPECT_TRUE(part.rows_nD[0].equal(passes[static_cast<size_t>(g)].values_nD.detach()));
      // As an update does: losses are means over groups.
      passes[static_cast<size_t>(g)].values_nD.mul(part.slopes_nD[0]).sum().div(static_cast<double>(groups)).backward();
    }
    EXPECT_LT(value(own_first.grad().sub(first.grad()).abs().max()), 1e-12);
    EXPECT_LT(value(own_second.grad().sub(second.grad()).abs().max()), 1e-12);
  }
}

// Both towers are trained, and so is the temperature, which each group applies to its own rows.
TEST(Coupling, GivesBothTowersAndTheTemperatureTheirGradients) {
  const Tensor pictures = wave(3, {24, 10}), texts = wave(8, {24, 7});
  const std::vector<Tensor> first = {wave(4, {10, 6}).mul(0.3), wave(5, {7, 6}).mul(0.3), wave(6, {1}).add(1)};
  const auto leaves = [&] {
    std::vector<Tensor> out;
    for (const Tensor& weight : first) out.push_back(weight.clone().requires_grad_(true));
    return out;
  };
  const auto scaled = [](const Tensor& x, const std::vector<Tensor>& w) { return model::unit_rows(x.matmul(w[0])).mul(w[2].exp()); };
  const auto pair_nce = [](const Tensor& a, const Tensor& b) { return loss::pair_contrast(a, model::unit_rows(b)); };
  const std::vector<Tensor> whole = leaves();
  const Tensor expected = pair_nce(scaled(pictures, whole), texts.matmul(whole[1]));
  expected.backward();
  const RunInfo run;
  for (const int64_t groups : {1, 2, 4}) {
    SCOPED_TRACE(groups);
    const std::vector<Tensor> own = leaves();
    loss::Coupling coupling(/*trained=*/2);
    const int64_t each = 24 / groups;
    const auto context = [&](int64_t g) { return FoldContext{run, g, groups, each, 0, 1, LedgerEntry(nullptr)}; };
    std::vector<std::pair<Vectors, Vectors>> passes;
    for (int64_t g = 0; g < groups; ++g) {
      Vectors a, b;
      a.values_nD = scaled(pictures.narrow(0, g * each, each), own), b.values_nD = texts.narrow(0, g * each, each).matmul(own[1]);
      coupling.take({&a, &b}, context(g));
      passes.emplace_back(a, b);
    }
    coupling.run(WholeContext{run, 0, 0, 0, 1, groups, 0, groups}, [&](const std::vector<Tensor>& z) { return pair_nce(z[0], z[1]); });
    for (int64_t g = 0; g < groups; ++g) {
      Coupled part;
      coupling.give(context(g), part);
      EXPECT_NEAR(value(part.shown), value(expected), 1e-12);
      const auto& [a, b] = passes[static_cast<size_t>(g)];
      a.values_nD.mul(part.slopes_nD[0]).sum().add(b.values_nD.mul(part.slopes_nD[1]).sum()).div(static_cast<double>(groups)).backward();
    }
    for (size_t i = 0; i < own.size(); ++i) EXPECT_LT(value(own[i].grad().sub(whole[i].grad()).abs().max()), 1e-12) << i;
  }
}

Tensor alone(const Tensor& own) { return own; }

TEST(Sinkhorn, HasTheValuesOfTheFormula) {
  const Tensor shares = target::sinkhorn({wave(4, {6, 3})}, {.temperature = 0.5}, alone)[0];
  const std::vector<double> row = {0.350571034, 0.307205013, 0.342223953}, columns = {2.000694827, 1.999999183, 1.999305990};
  for (int64_t k = 0; k < 3; ++k) {
    EXPECT_NEAR(value(shares[0][k]), row[static_cast<size_t>(k)], 1e-8);
    EXPECT_NEAR(value(shares.sum(0)[k]), columns[static_cast<size_t>(k)], 1e-8);
  }
  EXPECT_NEAR(value(loss::soft_cross_entropy(wave(5, {6, 3}), {}, shares, 1, 0, loss::Pairs::same, 0.1)), 3.481041030, 1e-8);
}

TEST(Sinkhorn, IgnoresWhatAllScoresOrAllOfAPrototypeHaveInCommon) {
  const Tensor scores = wave(4, {12, 5});
  const auto of = [](const Tensor& x) { return target::sinkhorn({x}, {.temperature = 0.3}, alone)[0]; };
  const Tensor shares = of(scores);
  EXPECT_LT(value(shares.sum(1).sub(1).abs().max()), 1e-12);
  EXPECT_LT(value(of(scores.add(7)).sub(shares).abs().max()), 1e-12);
  EXPECT_LT(value(of(scores.add(wave(1, {5}))).sub(shares).abs().max()), 1e-12);
}

TEST(Sinkhorn, MakesSharesEqualInTheLimit) {
  const auto off = [](int64_t iterations) {
    const Tensor columns = target::sinkhorn({wave(4, {60, 5})}, {.temperature = 0.1, .iterations = iterations}, alone)[0].sum(0);
    return value(columns.sub(12).abs().max());
  };
  EXPECT_GT(off(1), off(3));
  EXPECT_LT(off(200), 1e-9);
}

TEST(Sinkhorn, TakesScoresWhoseExponentsLeaveFloat) {
  const Tensor scores = wave(4, {12, 5}).mul(10);
  const auto of = [](const Tensor& x) { return target::sinkhorn({x}, {.temperature = 0.06}, alone)[0]; };
  const Tensor shares = of(scores.to(at::kFloat));
  EXPECT_EQ(shares.scalar_type(), at::kFloat);
  EXPECT_LT(value(shares.sum(1).sub(1).abs().max()), 1e-6);
  EXPECT_LT(value(shares.to(at::kDouble).sub(of(scores)).abs().max()), 1e-4);
  EXPECT_THROW(of(scores.mul(10)), std::invalid_argument);
}

TEST(Sinkhorn, CountsEarlierRowsOnce) {
  const Tensor scores = wave(4, {12, 5}), earlier = wave(9, {6, 5}), both = at::cat({scores, earlier});
  for (const int64_t positions : {1, 2}) {
    const target::SinkhornOptions options{.temperature = 0.3, .positions = positions};
    const Tensor expected = target::sinkhorn({both}, options, alone)[0].narrow(0, 0, 12);
    const std::vector<Tensor> parts = target::sinkhorn({scores.narrow(0, 0, 4), scores.narrow(0, 4, 8)}, options, alone, earlier);
    EXPECT_LT(value(at::cat(parts).sub(expected).abs().max()), 1e-12);
    EXPECT_GT(value(target::sinkhorn({scores}, options, alone)[0].sub(expected).abs().max()), 1e-3);
  }
  const Tensor none = target::sinkhorn({scores}, {.temperature = 0.3}, alone, earlier.narrow(0, 0, 0))[0];
  EXPECT_LT(value(none.sub(target::sinkhorn({scores}, {.temperature = 0.3}, alone)[0]).abs().max()), 1e-12);
}

TEST(Sinkhorn, DoesNotDependOnGroupsAndTakesPositionsApart) {
  const Tensor scores = wave(4, {12, 5});
  const Tensor whole = target::sinkhorn({scores}, {.temperature = 0.3}, alone)[0];
  const std::vector<Tensor> parts =
      target::sinkhorn({scores.narrow(0, 0, 4), scores.narrow(0, 4, 0), scores.narrow(0, 4, 8)}, {.temperature = 0.3}, alone);
  EXPECT_LT(value(at::cat(parts).sub(whole).abs().max()), 1e-12);
  const Tensor apart = target::sinkhorn({scores}, {.temperature = 0.3, .positions = 2}, alone)[0];
  for (int64_t place = 0; place < 2; ++place) {
    const Tensor rows = scores.view({6, 2, 5}).select(1, place), expected = target::sinkhorn({rows}, {.temperature = 0.3}, alone)[0];
    EXPECT_LT(value(apart.view({6, 2, 5}).select(1, place).sub(expected).abs().max()), 1e-12);
  }
}

}  // namespace
}  // namespace flowrun
