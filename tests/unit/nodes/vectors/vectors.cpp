#include "nodes/lib/tensor/types/vectors.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <cmath>
#include <gtest/gtest.h>

#include "nodes/lib/tensor/types/device_types.h"
#include "support/run_node.h"

namespace flowrun {
namespace {

const RunInfo kRun;

void run(Node& node, std::vector<void*> objects, const std::vector<PortSlot>& slots) {
  uint64_t ledger = 0;
  node.run(Call{objects.data(), nullptr, slots.data()}, GroupContext{kRun, 0, 1, 0, 0, 1, 4, 1, LedgerEntry(&ledger)});
}

Tensor numbers(int64_t rows, int64_t width, int64_t from = 0) { return at::arange(from, from + rows * width).to(at::kFloat).reshape({rows, width}); }

Vectors join_two(const std::string& along, Vectors a, Vectors b) {
  Vectors out;
  PortSlot first{0, false};
  first.more = 1;
  run(*test::make_node("vectors.join", R"({"along": ")" + along + "\"}"), {&a, &b, &out}, {first, {1, false}, {2, false}});
  return out;
}

TEST(Join, PutsFeaturesSideBySideAndViewsBehindEachOther) {
  const Vectors two{numbers(4, 3), 2, {}, 4}, one{numbers(2, 3, 100), 1, {}, 2}, wide{numbers(4, 5, 50), 2, {}, 4};
  const Vectors side = join_two("features", two, wide);
  EXPECT_TRUE(side.values_nD.equal(at::cat({two.values_nD, wide.values_nD}, 1)));
  EXPECT_EQ(side.views, 2);
  // Picture 0 has rows 0 and 1 of the first input and row 0 of the second.
  const Vectors rows = join_two("rows", two, one);
  EXPECT_EQ(rows.views, 3);
  EXPECT_EQ(rows.images, 6);
  EXPECT_TRUE(rows.values_nD.select(1, 0).equal(at::tensor({0, 3, 100, 6, 9, 103}, at::kFloat)));
}

TEST(Join, SaysWhatDoesNotFit) {
  const Vectors two{numbers(4, 3), 2, {}, 4}, one{numbers(4, 3), 1, {}, 4}, wide{numbers(4, 5), 2, {}, 4}, more{numbers(6, 3), 2, {}, 6};
  const Vectors chosen{numbers(4, 3), 2, at::arange(4), 4};
  EXPECT_THROW(join_two("features", two, one), NodeError);
  EXPECT_THROW(join_two("features", two, more), NodeError);
  EXPECT_THROW(join_two("rows", two, wide), NodeError);
  EXPECT_THROW(join_two("rows", two, more), NodeError);
  EXPECT_THROW(join_two("rows", two, chosen), NodeError);
}

TEST(JoinViews, MakesARowAndALabelOfEachPicture) {
  const auto node = test::make_node("vectors.join_views");
  Vectors in{numbers(6, 2), 3, {}, 6}, out;
  in.values_nD.requires_grad_(true);
  DeviceLabels labels{at::tensor({5, 5, 5, 8, 8, 8}, at::kLong), {true, 5, 8}}, of_picture;
  run(*node, {&in, &labels, &out, &of_picture}, {{0, false}, {1, false}, {2, false}, {3, false}});
  EXPECT_TRUE(out.values_nD.equal(numbers(2, 6)));
  EXPECT_TRUE(out.values_nD.requires_grad());
  EXPECT_EQ(out.views, 1);
  EXPECT_EQ(out.images, 2);
  EXPECT_TRUE(of_picture.labels_B.equal(at::tensor({5, 8}, at::kLong)));
  EXPECT_EQ(of_picture.range.most, 8);
  // Without labels there are none, whatever the object held before.
  run(*node, {&in, nullptr, &out, &of_picture}, {{0, false}, {-1, false}, {2, false}, {3, false}});
  EXPECT_FALSE(of_picture.labels_B.defined());
  DeviceLabels few{at::tensor({5, 8}, at::kLong), {}};
  EXPECT_THROW(run(*node, {&in, &few, &out, &of_picture}, {{0, false}, {1, false}, {2, false}, {3, false}}), NodeError);
}

TEST(SoftCrossEntropy, OwnLabelsOfAViewCountByTheirMean) {
  Vectors student{numbers(4, 3).sin(), 2, {}, 4};
  const Tensor labels = numbers(8, 3).cos().softmax(-1);  // two for each view
  SoftLabels target{labels, {}, 4};
  Loss loss;
  run(*test::make_node("loss.soft_cross_entropy", R"({"pairs": "own", "temperature": 1})"), {&student, nullptr, &target, &loss},
      {{0, false}, {-1, false}, {2, false}, {3, false}});
  double expected = 0;
  const Tensor log_softmax = student.values_nD.log_softmax(-1);
  for (int64_t i = 0; i < 8; ++i) expected -= labels[i].dot(log_softmax[i / 2]).item<double>() / 8;
  EXPECT_NEAR(loss.value.item<double>(), expected, 1e-6);
  target.views = 3;
  EXPECT_THROW(run(*test::make_node("loss.soft_cross_entropy", R"({"pairs": "own"})"), {&student, nullptr, &target, &loss},
                   {{0, false}, {-1, false}, {2, false}, {3, false}}),
               NodeError);
}

TEST(MaskedSoftCrossEntropy, PerRowIsTheMeanOverAllRows) {
  Vectors student{numbers(5, 3).sin(), 1, at::tensor({0, 0, 0, 0, 2}, at::kLong), 3};
  SoftLabels target{numbers(5, 3).cos().softmax(-1), {}, 1};
  Loss loss;
  const auto of = [&](const std::string& params) {
    run(*test::make_node("loss.masked_soft_cross_entropy", params), {&student, &target, &loss}, {{0, false}, {1, false}, {2, false}});
    return loss.value.item<double>();
  };
  const Tensor each = target.values_BC.mul(student.values_nD.log_softmax(-1)).sum(-1).neg();
  EXPECT_NEAR(of(R"({"per": "row", "temperature": 1})"), each.mean().item<double>(), 1e-6);
  EXPECT_NEAR(of(R"({"temperature": 1})"), (each.narrow(0, 0, 4).mean().item<double>() + each[4].item<double>()) / 3, 1e-6);
}

TEST(Gate, WeighsEachRowBySoftmaxOfRelu) {
  Vectors a{numbers(2, 2), 1, {}, 2}, b{numbers(2, 2, 10), 1, {}, 2}, out;
  Vectors gate{at::tensor({-4.0F, std::log(3.0F), -1.0F, -2.0F}, at::kFloat).reshape({2, 2}).requires_grad_(true), 1, {}, 2};
  PortSlot first{0, false};
  first.more = 1;
  const auto node = test::make_node("vectors.gate");
  run(*node, {&a, &b, &gate, &out}, {first, {1, false}, {2, false}, {3, false}});
  // Row 0: 1 / (1 + 3) and 3 / 4. Row 1: both scores become 0.
  EXPECT_TRUE(at::allclose(out.values_nD, at::tensor({7.5, 8.5, 7.0, 8.0}, at::kFloat).reshape({2, 2})));
  out.values_nD.sum().backward();
  EXPECT_NE(gate.values_nD.grad()[0][1].item<float>(), 0);
  Vectors narrow{numbers(2, 3), 1, {}, 2};
  EXPECT_THROW(run(*node, {&a, &narrow, &gate, &out}, {first, {1, false}, {2, false}, {3, false}}), NodeError);
  EXPECT_THROW(run(*node, {&a, &b, &narrow, &out}, {first, {1, false}, {2, false}, {3, false}}), FatalNodeError);
}

TEST(Joint, NamesClassAndViewAndJoinsWhatViewsSay) {
  Vectors seen{numbers(4, 3), 2, {}, 4}, together;
  DeviceLabels labels{at::tensor({1, 1, 0, 0}, at::kLong), {true, 0, 1}}, joint, picture;
  const std::vector<PortSlot> slots = {{0, false}, {1, false}, {2, false}, {3, false}};
  run(*test::make_node("targets.joint"), {&labels, &seen, &joint, &picture}, slots);
  EXPECT_TRUE(joint.labels_B.equal(at::tensor({2, 3, 0, 1}, at::kLong)));
  EXPECT_TRUE(picture.labels_B.equal(at::tensor({1, 0}, at::kLong)));
  EXPECT_EQ(joint.range.most, 3);
  // Scores of (class, view): of picture 0 view 0 says 0 and 2 of its own view, view 1 says 5 and 7.
  Vectors scores{numbers(4, 4), 2, {}, 4};
  run(*test::make_node("targets.aggregate"), {&scores, &together}, {{0, false}, {1, false}});
  EXPECT_TRUE(together.values_nD.equal(at::tensor({2.5, 4.5, 10.5, 12.5}, at::kFloat).reshape({2, 2})));
  EXPECT_EQ(together.views, 1);
  Vectors odd{numbers(4, 3), 2, {}, 4};
  EXPECT_THROW(run(*test::make_node("targets.aggregate"), {&odd, &together}, {{0, false}, {1, false}}), NodeError);
}

}  // namespace
}  // namespace flowrun
