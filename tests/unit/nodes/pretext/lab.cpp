// The nodes of colorization.
#include "nodes/lib/tensor/target/lab.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "graph/check/entries.h"
#include "graph/run/bind.h"
#include "nodes/lib/tensor/loss/classification.h"
#include "nodes/lib/tensor/model/counts.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/vectors.h"
#include "support/run_node.h"
#include "support/snapshot_view.h"
#include "support/torch_reference.h"

namespace flowrun {
namespace {

const RunInfo kRun;

/// A node that names one model, bound and opened.
std::unique_ptr<Node> with_model(const std::string& type, const std::string& params, const std::string& name,
                                 std::vector<std::unique_ptr<Resource>>& made) {
  auto node = test::make_node(type, params);
  std::vector<CheckedModel> models(1);
  models[0].name = name;
  bind_models(node->params(), models, made);
  node->open({kRun, name, 0});
  return node;
}

void run(Node& node, std::vector<void*> objects) {
  std::vector<PortSlot> slots;
  for (size_t i = 0; i < objects.size(); ++i) slots.push_back({static_cast<int>(i), false});
  uint64_t ledger = 0;
  node.run(Call{objects.data(), nullptr, slots.data()}, GroupContext{kRun, 0, 1, 0, 0, 1, 2, 1, LedgerEntry(&ledger)});
}

/// Two pictures of 8 x 8, as an upload normalises them: one coloured, one gray.
DeviceImages pictures(Tensor& rgb) {
  rgb = at::rand({2, 3, 8, 8});
  rgb.select(0, 1).copy_(rgb.select(0, 1).narrow(0, 0, 1).expand({3, 8, 8}).clone());
  const std::vector<double> mean = {0.4, 0.5, 0.6}, std = {0.2, 0.3, 0.5};
  const Tensor m = at::tensor(mean, at::kFloat).view({3, 1, 1}), s = at::tensor(std, at::kFloat).view({3, 1, 1});
  return {rgb.sub(m).div(s), 1, mean, std};
}

struct Made {
  Tensor rgb;
  DeviceImages light;
  SoftLabels soft;
  DeviceLabels label;
};

Made colours(std::vector<std::unique_ptr<Resource>>& counts) {
  const auto node = with_model("pretext.lab", R"({"counts": "counts", "stride": 4, "bin": 20, "gamut": "srgb", "neighbours": 5})", "counts", counts);
  Made made;
  DeviceImages in = pictures(made.rgb);
  run(*node, {&in, &made.light, &made.soft, &made.label});
  return made;
}

TEST(LabNode, MakesLightnessAndColoursOfSquares) {
  std::vector<std::unique_ptr<Resource>> counts;
  counts.push_back(std::make_unique<model::Counts>(77));
  dynamic_cast<model::Counts&>(*counts[0]).move(at::tensor(std::vector<double>(77, 1), at::kDouble), 0.5);
  const Made made = colours(counts);
  const Tensor lab = target::lab(made.rgb);
  ASSERT_EQ(made.light.images_BCHW.sizes(), made.rgb.sizes());
  for (int channel = 0; channel < 3; ++channel) {
    EXPECT_LT(test::max_error(made.light.images_BCHW.select(1, channel), lab.select(1, 0).sub(50).div(50)), 1e-4);
  }
  // Row 3 is the square at the lower right of the first picture.
  ASSERT_EQ(made.soft.values_BC.sizes(), (std::vector<int64_t>{8, 77}));
  const Tensor square = lab.select(0, 0).narrow(0, 1, 2).narrow(1, 4, 4).narrow(2, 4, 4).mean({1, 2}).view({1, 2});
  EXPECT_LT(test::max_error(made.soft.values_BC.narrow(0, 3, 1), target::soft_bins(square, target::colour_bins(20, target::Gamut::srgb), 5, 5)),
            1e-4);
  const Tensor below = lab.select(0, 0).narrow(0, 1, 2).narrow(1, 4, 4).narrow(2, 0, 4).mean({1, 2}).view({1, 2});
  EXPECT_LT(test::max_error(made.soft.values_BC.narrow(0, 2, 1), target::soft_bins(below, target::colour_bins(20, target::Gamut::srgb), 5, 5)), 1e-4);
  EXPECT_TRUE(made.label.labels_B.equal(made.soft.values_BC.argmax(1)));
  EXPECT_EQ(made.label.range.most, 76);
  // Equal shares: all rows weigh 1, but for the gray picture.
  EXPECT_LT(test::max_error(made.soft.weight_B, at::tensor({1, 1, 1, 1, 0, 0, 0, 0}, at::kFloat)), 1e-5);
}

TEST(LabNode, NeedsWhatTheUploadDid) {
  std::vector<std::unique_ptr<Resource>> counts, few;
  counts.push_back(std::make_unique<model::Counts>(77));
  few.push_back(std::make_unique<model::Counts>(5));
  const std::string params = R"({"counts": "counts", "bin": 20, "gamut": "srgb"})";
  EXPECT_THROW(with_model("pretext.lab", params, "counts", few), NodeError);
  const auto node = with_model("pretext.lab", params, "counts", counts);
  Made made;
  DeviceImages in = pictures(made.rgb), wide{at::rand({2, 3, 8, 12}), 1, in.mean, in.std};
  in.mean.clear();
  EXPECT_THROW(run(*node, {&in, &made.light, &made.soft, &made.label}), NodeError);
  EXPECT_THROW(run(*node, {&wide, &made.light, &made.soft, &made.label}), NodeError);
}

TEST(Count, LeavesOutRowsWithoutWeight) {
  std::vector<std::unique_ptr<Resource>> counts;
  counts.push_back(std::make_unique<model::Counts>(3));
  const auto node = with_model("train.count", R"({"counts": "counts", "decay": 0.5})", "counts", counts);
  SoftLabels soft{at::tensor({0.1, 0.2, 0.7, 0.6, 0.3, 0.1, 0.0, 0.0, 1.0}, at::kFloat).view({3, 3}), at::tensor({2.0, 0.0, 0.5}, at::kFloat)};
  void* objects[] = {&soft};
  const PortSlot slots[] = {{0, true}};
  uint64_t ledger = 0;
  for (int group = 0; group < 2; ++group) node->fold(Call{nullptr, objects, slots}, FoldContext{kRun, group, 2, 3, 0, 1, LedgerEntry(&ledger)});
  Reports reports;
  const Snapshot snapshot;
  const test::SnapshotView view(snapshot);
  StepContext context{.run = kRun,
                      .view = view,
                      .step = 1,
                      .epoch = 1,
                      .images = 0,
                      .ledger = 0,
                      .seconds = 0,
                      .first_step = 1,
                      .stopping = false,
                      .reports = reports};
  node->run(Call{nullptr, nullptr, slots}, context);
  const Tensor shares = dynamic_cast<model::Counts&>(*counts[0]).shares_K();
  EXPECT_LT(test::max_error(shares, at::tensor({1.0 / 6, 1.0 / 6, 4.0 / 6}, at::kFloat)), 1e-6);
}

TEST(CrossEntropy, WeighsRows) {
  const Tensor scores = at::tensor({1.0, 0.0, 2.0, 3.0, 3.0, 1.0}, at::kFloat).view({3, 2});
  const Tensor soft = at::tensor({0.3, 0.7, 1.0, 0.0, 0.5, 0.5}, at::kFloat).view({3, 2}), weight = at::tensor({2.0, 0.0, 1.0}, at::kFloat);
  const auto of_row = [&](int64_t row) { return loss::cross_entropy(scores.narrow(0, row, 1), soft.narrow(0, row, 1), 0).item<double>(); };
  EXPECT_NEAR(loss::cross_entropy(scores, soft, 0, weight).item<double>(), (2 * of_row(0) + of_row(2)) / 3, 1e-6);
  EXPECT_NEAR(loss::cross_entropy(scores, soft, 0, at::ones({3})).item<double>(), loss::cross_entropy(scores, soft, 0).item<double>(), 1e-6);
}

}  // namespace
}  // namespace flowrun
