#include "nodes/lib/tensor/report/write_checkpoint.h"

#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <limits>

#include "graph/text/error.h"
#include "nodes/lib/tensor/types/tensor_state.h"
#include "support/snapshot_view.h"
#include "support/torch_reference.h"

namespace flowrun {
namespace {

using testing::HasSubstr;

constexpr float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();

class WriteCheckpoint : public testing::Test {
 protected:
  WriteCheckpoint() { run_.directory = folder_.string(); }
  ~WriteCheckpoint() override { std::filesystem::remove_all(folder_); }

  using Tensors = std::vector<std::pair<std::string, std::vector<float>>>;
  /// The error for a model "probe" with `tensors`; empty: it was written.
  std::string refusal(int64_t step, const Tensors& tensors, NotFinite values = NotFinite::refuse) {
    std::vector<std::pair<std::string, Tensor>> named;
    for (const auto& [name, numbers] : tensors) named.emplace_back(name, at::tensor(numbers));
    const Snapshot snapshot = {{"probe", to_state(named)}, {"other", to_state({{"step", at::tensor(std::vector<int64_t>{-1, step})}})}};
    Reports reports;
    const test::SnapshotView view(snapshot);
    const StepContext context{.run = run_,
                              .view = view,
                              .step = step,
                              .epoch = 1,
                              .images = 0,
                              .ledger = 0,
                              .seconds = 0,
                              .first_step = 1,
                              .stopping = false,
                              .reports = reports};
    try {
      EXPECT_TRUE(std::filesystem::exists(write_checkpoint(folder_ / "root", context, values) / "probe.safetensors"));
    } catch (const NodeError& error) {
      EXPECT_FALSE(std::filesystem::exists(folder_ / "root" / ("step-" + std::to_string(step))));
      return error.what();
    }
    return "";
  }

  const std::filesystem::path folder_ = test::fresh_folder("flowrun-checkpoint");
  RunInfo run_;
};

TEST_F(WriteCheckpoint, RefusesWhatIsNotFinite) {
  EXPECT_THAT(refusal(1, {{"w", {1, inf}}}), HasSubstr("there is none before it"));
  EXPECT_EQ(refusal(2, {{"a", {-3e38F, 3e38F}}, {"b", {0, -1e-40F}}, {"empty", {}}}), "");
  for (const float bad : {nan, -nan, inf, -inf}) {
    std::vector<float> many(1000, 1.0F);
    for (const size_t place : {0, 7, 999}) {
      std::vector<float> numbers = many;
      numbers[place] = bad;
      const std::string said = refusal(3, {{"a", many}, {"b", numbers}, {"c", numbers}});
      EXPECT_THAT(said, HasSubstr("probe is not finite after step 3: b; no checkpoint of it is written")) << bad << " at " << place;
      EXPECT_THAT(said, HasSubstr("step-2 is whole"));
    }
  }
  EXPECT_EQ(refusal(3, {{"w", {1, nan}}}, NotFinite::keep), "");
}

TEST_F(WriteCheckpoint, TakesHeadsThatAreLostWhileOneIsLeft) {
  EXPECT_EQ(refusal(1, {{"heads.0.query", {1}}, {"heads.1.query", {nan}}, {"heads.1.linear.bias", {1}}}), "");
  EXPECT_EQ(refusal(2, {{"probe.heads.0.query.exp_avg", {inf}}, {"probe.heads.10.query.exp_avg", {0}}}), "");
  EXPECT_THAT(refusal(3, {{"heads.0.query", {1}}, {"heads.0.bias", {inf}}, {"heads.1.query", {nan}}}), HasSubstr("step 3: heads.0.bias;"));
  EXPECT_THAT(refusal(3, {{"heads.0.query", {1}}, {"heads.1.query", {nan}}, {"running_mean", {nan}}}), HasSubstr("step 3: running_mean;"));
}

}  // namespace
}  // namespace flowrun
