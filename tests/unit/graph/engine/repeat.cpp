// Repeats steps of a run, out of order, and observes the outputs of nodes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mutex>
#include <set>
#include <tuple>

#include "support/toy_nodes.h"

namespace flowrun::toy {
namespace {

using Ledgers = std::map<int64_t, uint64_t>;

Ledgers ledgers_of(const ToyRun& run) {
  Ledgers out;
  for (const StepSeen& step : run.steps) out[step.step] = step.ledger;
  return out;
}

/// Repeats some steps, not in their order, and keeps the ledgers.
Ledgers repeated(EngineOptions options, const std::vector<std::string>& sets = {}) {
  Ledgers out;
  CheckedPipeline pipeline = checked(training, sets);
  options.on_step = [&](const StepContext& context) { out[context.step] = context.ledger; };
  Engine engine(pipeline, std::move(options));
  for (const auto& [first, last] : {std::pair(9, 12), std::pair(5, 5), std::pair(1, 2)}) engine.repeat(first, last);
  return out;
}

void expect_found_again(const Ledgers& whole, const Ledgers& again) {
  EXPECT_EQ(again.size(), 7u);
  for (const auto& [step, ledger] : again) EXPECT_EQ(ledger, whole.at(step)) << "step " << step;
}

TEST(Repeat, GivesTheLedgersOfTheRun) {
  const Ledgers whole = ledgers_of(run_toy(training, serial()));
  ASSERT_EQ(whole.size(), 12u);
  expect_found_again(whole, repeated(serial()));
  for (const int count : {1, 4}) expect_found_again(whole, repeated(threads(count, 5)));
}

TEST(Repeat, PutsSubstitutesWhereTheRunHadThem) {
  Replaced replaced;
  EngineOptions options = serial();
  CheckedPipeline pipeline = checked(training, {"nodes.numbers.bad=[3, 5, 8, 13, 21, 34]", "run.max_bad=99"});
  Ledgers whole;
  options.on_step = [&](const StepContext& context) { whole[context.step] = context.ledger; };
  options.on_quarantine = [&](const BadSample& bad) { ++replaced[{bad.epoch, bad.position}]; };
  Engine(pipeline, std::move(options)).run();
  ASSERT_GT(replaced.size(), 6u);
  // The samples are whole by now.
  EngineOptions again = threads(4, 6);
  again.replaced = &replaced;
  expect_found_again(whole, repeated(std::move(again)));
  EXPECT_NE(repeated(serial()).at(5), whole.at(5));
}

TEST(Repeat, FailsWithTheSampleAndItsStep) {
  CheckedPipeline pipeline = checked(training, {"nodes.numbers.bad=[3]"});
  Engine engine(pipeline, threads(2, 7));
  std::string error;
  for (int64_t step = 1; step <= 12 && error.empty(); ++step) {
    try {
      engine.repeat(step, step);
    } catch (const RunError& failure) {
      error = failure.what();
      EXPECT_THAT(error, testing::HasSubstr("\n  sample 3 of numbers: "));
      EXPECT_THAT(error, testing::HasSubstr(", step " + std::to_string(step) + "\n"));
    }
  }
  EXPECT_NE(error, "");
}

TEST(Tap, SeesEveryNodeOfThePoolOnceForEachSampleOrGroup) {
  using Seen = std::tuple<int, uint64_t, uint64_t, int64_t>;  // node, position, sample, images
  const auto look = [](EngineOptions options) {
    std::mutex mutex;
    std::set<Seen> seen;
    options.tap = [&](const Tapped& tapped) {
      const std::lock_guard lock(mutex);
      EXPECT_TRUE(seen.insert({tapped.node, tapped.place.position, tapped.sample, tapped.images}).second);
      EXPECT_EQ(tapped.place.step, 6);
    };
    CheckedPipeline pipeline = checked(training);
    Engine(pipeline, std::move(options)).repeat(6, 6);
    return seen;
  };
  const std::set<Seen> seen = look(serial());
  EXPECT_EQ(seen.size(), 4u * 12 + 2u * 4);  // numbers, one, two, both; stack, mask
  for (const auto& [node, position, sample, images] : seen) EXPECT_TRUE(position >= 12 && position < 24 && images == 3) << node << " " << sample;
  EXPECT_EQ(look(threads(4, 8)), seen);
}

}  // namespace
}  // namespace flowrun::toy
