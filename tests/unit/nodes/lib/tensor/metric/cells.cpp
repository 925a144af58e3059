#include "nodes/lib/tensor/metric/cells.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

namespace flowrun {
namespace {

TEST(Cells, HoldTheSharesOfTheirLabelledPixels) {
  const Tensor map = at::tensor({0, 1, 2, 2, 1, 1, 2, 255, 255, 255, 0, 0, 255, 255, 0, 1}).to(at::kByte).reshape({1, 4, 4});
  const eval::CellShares cells = eval::cell_shares(map, 2, 3);
  const Tensor shares = at::tensor({0.25, 0.75, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.75, 0.25, 0.0}, at::kFloat).reshape({4, 3});
  EXPECT_TRUE(at::allclose(cells.shares_nC, shares));
  EXPECT_TRUE(at::allclose(cells.labelled_n, at::tensor({1.0, 0.75, 0.0, 1.0}, at::kFloat)));
  EXPECT_THROW(eval::cell_shares(map, 3, 3), std::invalid_argument);
}

TEST(Foreground, IsWhereOtherClassesAreAndAround) {
  Tensor map = at::full({1, 8, 8}, 0, at::kByte);
  map[0][1][1] = 2, map[0][7][7] = 1, map[0][0][7] = 255;
  const auto places = [&](int64_t reach) { return eval::foreground(map, 4, 4, {{0, 1}, reach})[0][0]; };
  Tensor expected = at::full({4, 4}, 0, at::kFloat);
  expected[0][0] = 1;
  EXPECT_TRUE(places(0).equal(expected));
  expected.slice(0, 0, 2).slice(1, 0, 2).fill_(1);
  EXPECT_TRUE(places(1).equal(expected));
}

}  // namespace
}  // namespace flowrun
