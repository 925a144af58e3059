#include "graph/run/read_ahead.h"

#include <gtest/gtest.h>

#include "support/toy_nodes.h"

namespace flowrun::toy {
namespace {

const char* const slow_storage = R"({"seed": 3, "run": {"epochs": 2, "threads": 2}, "nodes": {
  "numbers": {"type": "toy.numbers", "n": 320, "storage_us": 3000},
  "work": {"type": "toy.slow", "in": "numbers", "microseconds": 6000},
  "stack": {"type": "toy.stack", "in": "work", "size": 8},
  "look": {"type": "toy.look", "in": "stack"}}})";

ToyRun run_with(const std::string& read_ahead, EngineOptions options = {}) {
  return run_toy(slow_storage, std::move(options), {"run.read_ahead=" + read_ahead});
}

TEST(ReadAhead, SlowStorageIsAskedBeforeTheTurn) {
  const ToyRun without = run_with("0");
  EXPECT_EQ(without.error, "");
  EXPECT_GE(slow_reads, 640) << "nothing asks";
  const ToyRun always = run_with("64");
  EXPECT_LT(slow_reads, 320);
  const ToyRun when_slow = run_with("auto");
  EXPECT_LT(slow_reads, 480) << "the first reads show that it is slow";
  expect_equal(without, always);
  expect_equal(without, when_slow);
}

TEST(ReadAhead, EndsWhereSamplesComeAgainWithinABatch) {
  for (const char* samples : {"numbers.n=5", "numbers.n=7", "numbers.n=40"}) {
    EngineOptions options{.wraps = true};
    EXPECT_EQ(run_toy(slow_storage, std::move(options), {samples, "stack.size=64", "run.read_ahead=64"}).error, "") << samples;
  }
}

TEST(ReadAhead, FastStorageIsLeftAlone) {
  // Nothing is asked for, so a read that would be slow stays so: but none is slow enough to begin.
  const ToyRun run = run_toy(slow_storage, {}, {"numbers.storage_us=20", "work.microseconds=1"});
  EXPECT_EQ(run.error, "");
  EXPECT_GE(slow_reads, 600);
}

}  // namespace
}  // namespace flowrun::toy
