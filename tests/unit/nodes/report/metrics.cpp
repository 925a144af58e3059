// When report.metrics looks at the loss: at once on the CPU, a step later on a device that goes on meanwhile.
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>
#include <fstream>
#include <gmock/gmock.h>
#include <limits>
#include <nlohmann/json.hpp>

#include "nodes/lib/tensor/report/write_checkpoint.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "support/fake_device.h"
#include "support/run_node.h"
#include "support/snapshot_view.h"
#include "support/torch_reference.h"

namespace flowrun {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// A node in a run of its own, whose steps have two groups.
class Reporter {
 public:
  Reporter(bool on_device, const std::string& every)
      : on_device_(on_device), folder_(test::fresh_folder(on_device ? "metrics-device" : "metrics-host")) {
    run_.directory = folder_.string();
    run_.steps_per_epoch = 4, run_.total_steps = run_.last_step = 8, run_.batch = 10;
    node_ = test::make_node("report.metrics", R"({"every": ")" + every + R"(", "tensorboard": false})");
    node_->open({run_, "metrics", 1});
    test::diary() = {};
  }
  ~Reporter() {
    node_.reset();
    std::filesystem::remove_all(folder_);
  }

  /// The values that consumers of the step get.
  Reports step(int64_t step, double loss) {
    Loss message;
    message.parts = {3, 5};
    void* objects[] = {&message, nullptr};
    const PortSlot slots[] = {{0, true}, {-1, false}};
    for (int64_t group = 0; group < 2; ++group) {
      const double value = loss + (group == 0 ? 0.25 : -0.25);
      message.value = place(at::scalar_tensor(value, at::kFloat)), message.per_part = place(at::tensor({value - 1, value + 1}, at::kFloat));
      node_->fold(Call{nullptr, objects, slots}, FoldContext{run_, group, 2, 5, 0, step, LedgerEntry(&ledger_)});
    }
    Reports reports{{"lr", 0.5 * static_cast<double>(step)}};
    StepContext context = at(step, reports);
    node_->run(Call{nullptr, nullptr, slots}, context);
    return reports;
  }
  void finish(int64_t step) {
    Reports reports;
    StepContext context = at(step, reports);
    node_->finish(context);
  }
  void checkpoint(int64_t step) {
    Reports reports;
    write_checkpoint(folder_ / "checkpoints", at(step, reports), NotFinite::refuse);
  }
  /// The calls since the last query.
  std::vector<std::string> done() const { return std::exchange(test::diary().lines, {}); }
  std::string text() const {
    std::ifstream in(folder_ / "metrics.jsonl");
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::vector<int64_t> steps() const {
    std::vector<int64_t> out;
    std::istringstream in(text());
    for (std::string line; std::getline(in, line);) out.push_back(nlohmann::json::parse(line).at("step"));
    return out;
  }

 private:
  Tensor place(const Tensor& tensor) const { return on_device_ ? test::on_fake(tensor) : tensor; }
  StepContext at(int64_t step, Reports& reports) const {
    return {.run = run_,
            .view = view_,
            .step = step,
            .epoch = static_cast<double>(step) / 4,
            .images = step * run_.batch,
            .ledger = static_cast<uint64_t>(step) * 1000,
            .seconds = static_cast<double>(step),
            .first_step = 1,
            .stopping = false,
            .reports = reports};
  }

  const bool on_device_;
  const std::filesystem::path folder_;
  RunInfo run_;
  const test::SnapshotView view_;
  std::unique_ptr<Node> node_;
  uint64_t ledger_ = 0;
};

const std::vector<std::string> copied = {"main copies to the host", "main records 1"};

TEST(Metrics, LooksAtTheLossAtOnceOnTheCpu) {
  Reporter reporter(false, "2 steps");
  EXPECT_EQ(reporter.step(1, 3), (Reports{{"lr", 0.5}}));
  EXPECT_EQ(reporter.step(2, 2), (Reports{{"loss", 2}, {"loss_block_3", 1}, {"loss_block_5", 3}, {"lr", 1}}));
  EXPECT_EQ(reporter.text(),
            R"({"step":2,"epoch":0.5,"loss":2.0,"ledger":"00000000000007d0","images_per_second":10.0,"loss_block_3":1.0,"loss_block_5":3.0,"lr":1.0})"
            "\n");
  EXPECT_THAT(reporter.done(), IsEmpty());
}

TEST(Metrics, WaitsForADeviceOneStepLater) {
  Reporter reporter(true, "2 steps");
  reporter.step(1, 3);
  EXPECT_THAT(reporter.done(), IsEmpty());
  EXPECT_EQ(reporter.step(2, 2), (Reports{{"lr", 1}}));
  EXPECT_EQ(reporter.done(), copied);
  EXPECT_THAT(reporter.steps(), IsEmpty());
  EXPECT_EQ(reporter.step(3, 9), (Reports{{"loss", 2}, {"loss_block_3", 1}, {"loss_block_5", 3}, {"lr", 1.5}})) << "the loss of the step before";
  EXPECT_THAT(reporter.done(), ElementsAre("host waits for 1"));
  EXPECT_THAT(reporter.steps(), ElementsAre(2));
}

TEST(Metrics, SubmitsTheNextCopyBeforeItWaits) {
  Reporter reporter(true, "1 steps");
  reporter.step(1, 3);
  EXPECT_EQ(reporter.done(), copied);
  EXPECT_EQ(reporter.step(2, 2).at("loss"), 3);
  EXPECT_THAT(reporter.done(), ElementsAre("main copies to the host", "main records 2", "host waits for 1"));
  EXPECT_THAT(reporter.steps(), ElementsAre(1));
}

TEST(Metrics, WritesTheSameLinesOnADevice) {
  for (const char* every : {"1 steps", "2 steps", "3 steps", "1 epoch"}) {
    std::string texts[2];
    for (const bool on_device : {false, true}) {
      Reporter reporter(on_device, every);
      for (int64_t step = 1; step <= 8; ++step) reporter.step(step, 1.0 / static_cast<double>(step));
      reporter.finish(8);
      texts[on_device] = reporter.text();
    }
    EXPECT_FALSE(texts[0].empty());
    EXPECT_EQ(texts[0], texts[1]) << every;
  }
}

TEST(Metrics, WaitsAtTheLastStep) {
  Reporter reporter(true, "1 steps");
  for (int64_t step = 1; step < 8; ++step) reporter.step(step, 1);
  EXPECT_EQ(reporter.step(8, 2).at("loss"), 2) << "nobody comes to tell of it later";
  EXPECT_EQ(reporter.steps().size(), 8U);
  reporter.done();
  reporter.finish(8);
  EXPECT_THAT(reporter.done(), IsEmpty());
}

TEST(Metrics, WritesItsLineWhenARunIsStopped) {
  Reporter reporter(true, "2 steps");
  reporter.step(1, 1), reporter.step(2, 1);
  reporter.done();
  reporter.finish(2);
  EXPECT_THAT(reporter.done(), ElementsAre("host waits for 1"));
  EXPECT_THAT(reporter.steps(), ElementsAre(2));
}

TEST(Metrics, WritesItsLineBeforeACheckpoint) {
  Reporter reporter(true, "2 steps"), other(true, "2 steps");
  reporter.step(1, 3), reporter.step(2, 2);
  other.step(2, 2);
  reporter.done();
  reporter.checkpoint(2);
  EXPECT_THAT(reporter.done(), ElementsAre("host waits for 1")) << "only that of this run";
  EXPECT_THAT(reporter.steps(), ElementsAre(2));
  EXPECT_EQ(reporter.step(3, 9), (Reports{{"loss", 2}, {"loss_block_3", 1}, {"loss_block_5", 3}, {"lr", 1.5}}));
  EXPECT_EQ(reporter.step(4, 9), (Reports{{"lr", 2}}));
}

template <class Work>
std::string error_of(Work&& work) {
  try {
    work();
  } catch (const NodeError& error) {
    return error.what();
  }
  return "";
}

TEST(Metrics, NamesTheStepOfALossThatIsNotFinite) {
  const double infinity = std::numeric_limits<double>::infinity();
  Reporter host(false, "2 steps");
  EXPECT_EQ(error_of([&] { host.step(2, infinity); }), "the loss is inf");
  Reporter device(true, "2 steps");
  EXPECT_EQ(error_of([&] { device.step(2, infinity); }), "");
  EXPECT_EQ(error_of([&] { device.step(3, 1); }), "the loss of step 2 is inf");
  EXPECT_EQ(error_of([&] { device.finish(3); }), "") << "it was said";
  EXPECT_THAT(device.steps(), IsEmpty());
  device.step(4, infinity);
  EXPECT_EQ(error_of([&] { device.checkpoint(4); }), "metrics: the loss of step 4 is inf");
}

TEST(Metrics, LeavesNoCopyBehind) {
  { Reporter(true, "2 steps").step(2, 1); }
  EXPECT_THAT(test::diary().lines, ElementsAre("main copies to the host", "main records 1", "host waits for 1"));
}

}  // namespace
}  // namespace flowrun
