// The second promise of the engine: what a run computes depends on its pipeline alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/toy_nodes.h"

namespace flowrun::toy {
namespace {

TEST(Determinism, OraclePipelineRuns) {
  const ToyRun run = run_toy(training, serial());
  ASSERT_EQ(run.faults, "");
  ASSERT_EQ(run.error, "");
  EXPECT_EQ(run.result.steps, 12);  // 50 / 12 = 4 steps in each of 3 epochs
  EXPECT_EQ(run.result.images, 144);
  EXPECT_FALSE(run.result.stopped);
  ASSERT_EQ(run.steps.size(), 12u);
  std::set<uint64_t> ledgers;
  for (const StepSeen& step : run.steps) ledgers.insert(step.ledger);
  EXPECT_EQ(ledgers.size(), 12u);
}

TEST(Determinism, SeedsDiffer) {
  const ToyRun a = run_toy(training, serial()), b = run_toy(training, serial(), {"seed=8"});
  ASSERT_EQ(a.steps.size(), b.steps.size());
  for (size_t s = 0; s < a.steps.size(); ++s) EXPECT_NE(a.steps[s].ledger, b.steps[s].ledger);
  EXPECT_NE(a.models(), b.models());
}

class Threads : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Determinism, Threads, testing::Values(1, 2, 4, 8));

TEST_P(Threads, EqualTheSerialRun) {
  for (const char* seed : {"seed=1", "seed=2", "seed=3"}) {
    const ToyRun expected = run_toy(training, serial(), {seed});
    for (const uint64_t jitter : {0, 5, 6}) {
      SCOPED_TRACE(std::string(seed) + ", jitter " + std::to_string(jitter));
      expect_equal(expected, run_toy(training, threads(GetParam(), jitter), {seed}));
    }
  }
}

}  // namespace
}  // namespace flowrun::toy
