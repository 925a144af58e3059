// The list of a step's samples for reports: it must equal what the engine really ran.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "support/toy_nodes.h"

namespace flowrun::toy {
namespace {

using Lists = std::map<int64_t, std::vector<StepSample>>;

EngineOptions listing(EngineOptions options, Lists& lists) {
  options.on_step = [&lists](const StepContext& context) { lists[context.step] = context.view.samples(context.step); };
  return options;
}

std::vector<uint64_t> numbers(const std::vector<StepSample>& list) {
  std::vector<uint64_t> out;
  for (const StepSample& s : list) out.push_back(s.sample);
  return out;
}

TEST(StepSamples, HoldEachSampleWhereTheEngineMeetsIt) {
  Lists lists;
  ASSERT_EQ(run_toy(training, listing(serial(), lists)).error, "");
  ASSERT_EQ(lists.size(), 12u);
  for (const auto& [step, list] : lists) {
    const auto all = numbers(list);
    EXPECT_EQ(list.size(), 12u);
    EXPECT_EQ(std::set<uint64_t>(all.begin(), all.end()).size(), 12u);
  }
  // A sample that fails ends the run in the step that lists it.
  for (uint64_t bad = 0; bad < 50; ++bad) {
    const ToyRun run = run_toy(training, serial(), {"nodes.numbers.bad=[" + std::to_string(bad) + "]"});
    if (run.error.empty()) continue;  // left over in all epochs
    const auto step = static_cast<int64_t>(run.steps.size()) + 1;
    EXPECT_THAT(numbers(lists.at(step)), testing::Contains(bad)) << run.error;
    for (int64_t before = 1; before < step; ++before) EXPECT_THAT(numbers(lists.at(before)), testing::Not(testing::Contains(bad)));
    const auto at = std::find_if(lists[step].begin(), lists[step].end(), [&](const StepSample& s) { return s.sample == bad; });
    EXPECT_THAT(run.error, testing::HasSubstr(": " + at->key + "\n"));
  }
}

TEST(StepSamples, NameSubstitutesWhereSamplesWereReplaced) {
  Lists whole, mended;
  run_toy(training, listing(serial(), whole));
  const ToyRun run = run_toy(training, listing(threads(4, 3), mended), {"nodes.numbers.bad=[3, 5, 8, 13, 21, 34]", "run.max_bad=99"});
  ASSERT_EQ(run.error, "");
  ASSERT_FALSE(run.quarantine.empty());
  size_t changed = 0;
  for (const auto& [step, list] : mended) {
    EXPECT_THAT(numbers(list), testing::Not(testing::Contains(testing::AnyOf(3, 5, 8, 13, 21, 34)))) << step;
    for (size_t i = 0; i < list.size(); ++i) {
      EXPECT_EQ(list[i].position, whole[step][i].position);
      changed += list[i].sample != whole[step][i].sample;
    }
  }
  EXPECT_GT(changed, 6u);
  EXPECT_LE(changed, run.quarantine.size());
}

TEST(StepSamples, AreSharedOutAmongRanks) {
  Lists alone, ranks[2];
  run_toy(training, listing(serial(), alone));
  for (int rank = 0; rank < 2; ++rank) {
    EngineOptions options = serial();
    options.rank = rank, options.world = 2;
    run_toy(training, listing(std::move(options), ranks[rank]));
  }
  for (const auto& [step, list] : alone) {
    auto both = numbers(ranks[0][step]);
    const auto second = numbers(ranks[1][step]);
    both.insert(both.end(), second.begin(), second.end());
    EXPECT_EQ(both, numbers(list)) << step;
  }
}

TEST(StepSamples, OfAStepThatFailedOnTheDevice) {
  Lists whole;
  run_toy(training, listing(serial(), whole));
  for (const int count : {0, 1, 4}) {
    for (const char* node : {"update", "record"}) {
      EngineOptions options = count == 0 ? serial() : threads(count, 5);
      int64_t failed = 0;
      std::vector<StepSample> samples;
      options.on_failed_step = [&](int64_t step, const std::vector<StepSample>& list) { failed = step, samples = list; };
      const ToyRun run = run_toy(training, std::move(options), {std::string("nodes.") + node + ".fail_step=5"});
      EXPECT_NE(run.error, "");
      EXPECT_EQ(failed, 5);
      EXPECT_EQ(numbers(samples), numbers(whole[5]));
    }
  }
  // A bad sample is named by its own error.
  EngineOptions options = serial();
  bool told = false;
  options.on_failed_step = [&](int64_t, const std::vector<StepSample>&) { told = true; };
  EXPECT_NE(run_toy(training, std::move(options), {"nodes.numbers.bad=[0, 1, 2, 3]"}).error, "");
  EXPECT_FALSE(told);
}

}  // namespace
}  // namespace flowrun::toy
