// The value of a recording, and its cost for the host: on a device that only logs its calls.
#include "nodes/lib/tensor/device/recording.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "nodes/lib/tensor/device/side_stream.h"
#include "support/fake_device.h"

namespace flowrun {
namespace {

using test::diary;

/// Plays by doing the work again.
class Again final : public recording::Recorder {
 public:
  struct Played final : Recording {
    explicit Played(std::function<void()> work) : work(std::move(work)) {}
    void play() override { work(); }
    std::function<void()> work;
  };
  void begin() override { ++begun; }
  std::unique_ptr<Recording> end() override {
    if (fails) throw std::runtime_error("no");
    return std::make_unique<Played>(when_played);
  }
  bool works_meanwhile() const override { return false; }
  recording::PassTime end_pass() override { return time; }

  std::function<void()> when_played = [] {};
  recording::PassTime time;
  bool fails = false;
  int begun = 0;
};

/// Adds to a gradient; the recorder must be told, as nodes do.
struct Sum {
  Tensor total = test::on_fake(at::zeros({3}));
  double more = 1;
  void add() {
    recording::changes({total});
    if (recording::number() == 0) total.add_(more);
    recording::result({total});
  }
};

TEST(Recorder, ComparesWithOneWait) {
  Again recorder;
  Sum sum;
  recorder.when_played = [&] { sum.total.add_(sum.more); };
  diary() = {};
  const Recorded made = recording::record(
      recorder, [&] { sum.add(); }, /*compare=*/true);
  EXPECT_NE(made.recording, nullptr) << made.why_not;
  EXPECT_EQ(test::host_waits(), 1);
  EXPECT_EQ(sum.total.to(at::kCPU)[0].item<float>(), 1) << "the work is done once";
}

TEST(Recorder, WithoutComparingNothingWaits) {
  Again recorder;
  Sum sum;
  recorder.when_played = [&] { sum.total.add_(sum.more); };
  diary() = {};
  EXPECT_NE(recording::record(
                recorder, [&] { sum.add(); }, /*compare=*/false)
                .recording,
            nullptr);
  EXPECT_EQ(test::host_waits(), 0);
  EXPECT_EQ(sum.total.to(at::kCPU)[0].item<float>(), 1);
}

TEST(Recorder, RefusesOtherResults) {
  Again recorder;
  Sum sum;
  recorder.when_played = [&] { sum.total.add_(sum.more * 1.005); };
  const Recorded made = recording::record(
      recorder, [&] { sum.add(); }, true);
  EXPECT_EQ(made.recording, nullptr);
  EXPECT_NE(made.why_not.find("differ by 0.005"), std::string::npos) << made.why_not;
  EXPECT_FALSE(made.gains_nothing);
  EXPECT_EQ(sum.total.to(at::kCPU)[0].item<float>(), 1);
}

/// bf16 has eight bits, and attention's backward pass adds in any order.
TEST(Recorder, AllowsMoreInHalfPrecision) {
  Again recorder;
  Sum sum;
  recorder.when_played = [&] { sum.total.add_(sum.more * 1.005); };
  at::autocast::set_autocast_enabled(test::fake_device().type(), true);
  const Recorded made = recording::record(
      recorder, [&] { sum.add(); }, true);
  at::autocast::set_autocast_enabled(test::fake_device().type(), false);
  EXPECT_NE(made.recording, nullptr) << made.why_not;
}

TEST(Recorder, LeavesWorkAloneWhereTheDeviceIsTheLimit) {
  Again recorder;
  Sum sum;
  recorder.time = {.host = 0.012, .device = 0.020};
  const Recorded made = recording::record(
      recorder, [&] { sum.add(); }, true);
  EXPECT_EQ(made.recording, nullptr);
  EXPECT_TRUE(made.gains_nothing);
  EXPECT_EQ(recorder.begun, 0);
  EXPECT_EQ(made.why_not, "the device is the limit: a group takes it 20.0 ms, and the host 12.0 ms to submit");
  EXPECT_EQ(sum.total.to(at::kCPU)[0].item<float>(), 1);
  recorder.when_played = [&] { sum.total.add_(sum.more); };
  setenv("FLOWRUN_TEST_RECORD_ALWAYS", "1", 1);
  EXPECT_NE(recording::record(
                recorder, [&] { sum.add(); }, true)
                .recording,
            nullptr);
  unsetenv("FLOWRUN_TEST_RECORD_ALWAYS");
  recorder.time = {.host = 0.019, .device = 0.020};
  EXPECT_NE(recording::record(
                recorder, [&] { sum.add(); }, true)
                .recording,
            nullptr);
}

TEST(Capture, ThatFailsLeavesTheWorkDoneOnce) {
  Again recorder;
  Sum sum;
  recorder.fails = true;
  for (const bool compare : {true, false}) {
    const Recorded made = recording::record(
        recorder, [&] { sum.add(); }, compare);
    EXPECT_EQ(made.why_not, "recording failed: no");
  }
  EXPECT_EQ(sum.total.to(at::kCPU)[0].item<float>(), 2);
  EXPECT_EQ(recording::number(), 0);
}

/// The event of a side stream inside a recording is part of the recording. Outside, waiting for it is an error of the driver.
TEST(Capture, ItsEventsAreNotWaitedForOutside) {
  Again recorder;
  const Tensor target = test::on_fake(at::ones({2}));
  Arrival arrival;
  const auto work = [&] {
    SideStream beside(test::fake_device(), {});
    arrival = beside.arrival();
  };
  const auto waits = [&] {
    diary() = {};
    arrival.wait(target);
    return !diary().lines.empty();
  };
  bool inside = false;
  EXPECT_NE(recording::record(
                recorder, [&] { work(), inside = waits(); }, false)
                .recording,
            nullptr);
  EXPECT_TRUE(inside) << "within the recording it is waited for";
  EXPECT_FALSE(waits()) << "outside of it, it is not";
  work();
  EXPECT_TRUE(waits()) << "of work that is submitted, it is";
}

}  // namespace
}  // namespace flowrun
