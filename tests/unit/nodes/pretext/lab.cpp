// The nodes of colorization.
#include "nodes/lib/tensor/target/lab.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "nodes/lib/tensor/loss/classification.h"
#include "nodes/lib/tensor/model/counts.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "support/run_node.h"

namespace flowrun {
namespace {

TEST(CrossEntropy, WeighsRows) {
  const Tensor scores = at::tensor({1.0, 0.0, 2.0, 3.0, 3.0, 1.0}, at::kFloat).view({3, 2}),
               soft = at::tensor({0.3, 0.7, 1.0, 0.0, 0.5, 0.5}, at::kFloat).view({3, 2});
  const Tensor weight = at::tensor({2.0, 0.0, 1.0}, at::kFloat);
  const auto of_row = [&](int64_t row) { return loss::cross_entropy(scores.narrow(0, row, 1), soft.narrow(0, row, 1), 0).item<double>(); };
  EXPECT_NEAR(loss::cross_entropy(scores, soft, 0, weight).item<double>(), (2 * of_row(0) + of_row(2)) / 3, 1e-6);
  EXPECT_NEAR(loss::cross_entropy(scores, soft, 0, at::ones({3})).item<double>(), loss::cross_entropy(scores, soft, 0).item<double>(), 1e-6);
}

}  // namespace
}  // namespace flowrun
