#include "nodes/lib/tensor/model/sync_batch_norm.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/batch_norm.h>
#include <gmock/gmock.h>

#include "graph/text/error.h"

namespace flowrun {
namespace {

Tensor wave(double c, at::IntArrayRef shape) {
  int64_t count = 1;
  for (const int64_t n : shape) count *= n;
  return at::arange(count, at::kDouble).mul(0.7).add(c).sin().reshape(shape);
}

double most(const Tensor& x) { return x.abs().max().item<double>(); }

// One process: the sums are its own. Several ranks: cli.whole.
TEST(SyncBatchNorm, IsThatOfPyTorch) {
  const RunInfo run;
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{6, 4}, {5, 4, 3, 2}}) {
    for (const bool affine : {true, false}) {
      const Tensor x = wave(1, shape).requires_grad_(true), other_x = wave(1, shape).requires_grad_(true), slopes = wave(4, shape);
      const auto parameter = [&](double c) { return affine ? wave(c, {4}).requires_grad_(true) : Tensor(); };
      const Tensor weight = parameter(2), bias = parameter(3), other_weight = parameter(2), other_bias = parameter(3);
      model::Measured measured;
      const Tensor ours = model::sync_batch_norm(x, weight, bias, 1e-5, run, measured);
      const Tensor theirs = at::batch_norm(other_x, other_weight, other_bias, {}, {}, true, 0, 1e-5, false);
      EXPECT_LT(most(ours.sub(theirs)), 1e-12);
      ours.mul(slopes).sum().backward(), theirs.mul(slopes).sum().backward();
      EXPECT_LT(most(x.grad().sub(other_x.grad())), 1e-12);
      if (affine) {
        EXPECT_LT(most(weight.grad().sub(other_weight.grad())), 1e-12);
        EXPECT_LT(most(bias.grad().sub(other_bias.grad())), 1e-12);
      }
      const Tensor columns = x.detach().transpose(0, 1).flatten(1);
      EXPECT_LT(most(measured.mean.sub(columns.mean(1))), 1e-12);
      EXPECT_LT(most(measured.variance.sub(columns.var(1))), 1e-12);
    }
  }
}

TEST(SyncBatchNorm, NeedsTwoValues) {
  const RunInfo run;
  model::Measured measured;
  EXPECT_THROW(model::sync_batch_norm(wave(1, {1, 4}), {}, {}, 1e-5, run, measured), NodeError);
}

}  // namespace
}  // namespace flowrun
