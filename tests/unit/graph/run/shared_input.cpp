// Runs that share their input equal separate runs, however the others end.
#include "graph/run/shared_input.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <thread>

#include "support/toy_nodes.h"

namespace flowrun::toy {
namespace {

using testing::HasSubstr;

/// `training` with a change of the text.
std::string changed(const std::string& from, const std::string& to) {
  std::string text = training;
  return text.replace(text.find(from), from.size(), to);
}

/// The leader's pipeline; its device nodes are its own. Without a mask, the others have their own masks.
std::string input(bool mask) {
  if (mask) return training;
  std::string text = changed(R"(, "mask": "mask" })", " }");
  const std::string line = R"("mask":    { "type": "toy.mask", "in": "stack" },)";
  return text.replace(text.find(line), line.size(), "");
}

std::string evaluating() {
  return changed("\"record\"", R"("test": { "type": "toy.numbers", "n": 20 },
    "pile": { "type": "toy.stack", "in": "test", "size": 4, "group": 4 },
    "measure": { "type": "toy.measure", "in": "pile", "model": "teacher", "at": ["start", "5 steps", "end"] },
    "record")");
}

struct Variant {
  std::vector<std::string> sets;
  EngineOptions options = threads(2, 3);
  std::string text = training;
  int64_t stop_at = 0;
};

/// As it would be alone, or with the taker's input.
ToyRun run_variant(const Variant& variant, InputTaker* takes) {
  std::atomic<bool> stop{false};
  EngineOptions options = variant.options;
  options.takes = takes;
  options.stop = &stop;
  options.on_step = [&](const StepContext& context) { stop = context.step == variant.stop_at; };
  return run_toy(variant.text, options, variant.sets);
}

struct Together {
  std::vector<ToyRun> runs;
  std::string leader_error;
  std::optional<SharedInput::Steps> steps;
};

struct Leader {
  std::vector<std::string> sets;
  bool mask = true;
  EngineOptions options = threads(2, 5);
};

Together run_together(const std::vector<Variant>& variants, const Leader& lead = {}) {
  Together out;
  out.runs.resize(variants.size());
  CheckedPipeline pipeline = checked(input(lead.mask), lead.sets);
  SharedInput shared;
  EngineOptions options = lead.options;
  options.gives = &shared;
  Engine leader(pipeline, options);
  std::vector<std::unique_ptr<InputTaker>> takers;
  for (size_t v = 0; v < variants.size(); ++v) takers.push_back(std::make_unique<InputTaker>(shared));
  std::vector<std::jthread> runs;
  for (size_t v = 0; v < variants.size(); ++v) {
    runs.emplace_back([&, v] {
      out.runs[v] = run_variant(variants[v], takers[v].get());
      takers[v].reset();
    });
  }
  try {
    out.steps = shared.wait_for_takers();
    if (out.steps) leader.repeat(out.steps->first, out.steps->last);
  } catch (const RunError& error) {
    out.leader_error = error.what();
  }
  runs.clear();
  return out;
}

void expect_as_alone(const std::vector<Variant>& variants, const Leader& lead = {}) {
  const Together together = run_together(variants, lead);
  for (size_t v = 0; v < variants.size(); ++v) {
    SCOPED_TRACE("variant " + std::to_string(v) + ": " + join(variants[v].sets));
    const ToyRun alone = run_variant(variants[v], nullptr);
    ASSERT_EQ(alone.faults, "");
    expect_equal(alone, together.runs[v]);
    EXPECT_EQ(alone.result.stopped, together.runs[v].result.stopped);
  }
}

TEST(SharedInput, RunsEqualThoseAlone) {
  for (const int count : {1, 4}) {
    const EngineOptions options = threads(count, 4);
    expect_as_alone({{{}, options}, {{"nodes.mask.stream=other"}, options}, {{"nodes.learn.model=teacher"}, options, evaluating()}},
                    {{}, /*mask=*/false, threads(count, 2)});
  }
}

TEST(SharedInput, NodesBehindTheStackAreSharedToo) { expect_as_alone({{}, {{"nodes.learn.model=teacher"}}, {{"run.memory_mib=1"}}}); }

TEST(SharedInput, IsMadeOnceAndAsFarAsItIsWanted) {
  const Together together = run_together({{{"run.epochs=1"}}, {{"run.epochs=2", "run.steps=7"}}});
  ASSERT_TRUE(together.steps);
  EXPECT_EQ(together.steps->first, 1);
  EXPECT_EQ(together.steps->last, 7);
  for (const ToyRun& run : together.runs) {
    EXPECT_EQ(run.error, "");
    EXPECT_EQ(run.stats()["nodes"]["both"]["count"], 0);
    EXPECT_GT(run.stats()["nodes"]["learn"]["count"], 0);
  }
  EXPECT_EQ(together.runs[1].result.steps, 7);
}

TEST(SharedInput, OneThatFailsLeavesTheOthers) {
  Variant broken{{}};
  broken.options.resume = ResumePoint{2, {}};  // can't be opened
  expect_as_alone({{{"nodes.learn.fail_step=3"}}, broken, {{}}, {{"nodes.mask.fail_step=5", "nodes.mask.stream=own"}}}, {{}, /*mask=*/false});
}

TEST(SharedInput, WithNobodyLeftTheLeaderEnds) {
  const Together together = run_together({{{"nodes.learn.fail_step=3"}}, {{"nodes.update.fail_step=2"}}});
  EXPECT_THAT(together.runs[0].error, HasSubstr("the device is gone"));
  EXPECT_EQ(together.leader_error, "");
}

TEST(SharedInput, StopsAndGoesOnAtDifferentSteps) {
  Variant first, second, third;
  first.stop_at = 2, second.stop_at = 9;
  expect_as_alone({first, second, third});
  const ToyRun whole = run_toy(training, serial());
  first = second = {};
  first.options.resume = ResumePoint{2, whole.snapshots[1]};
  second.options.resume = ResumePoint{9, whole.snapshots[8]};
  third.options.resume = ResumePoint{12, whole.snapshots[11]};  // is at its end
  expect_as_alone({first, second, third});
  const Together together = run_together({first, second});
  EXPECT_EQ(together.steps->first, 3);
  EXPECT_EQ(together.runs[0].models(), whole.models());
}

TEST(SharedInput, BadSamplesCountInEveryRun) {
  const std::string bad = "nodes.numbers.bad=[3, 5, 8, 13, 21, 34]";
  expect_as_alone({{{bad, "run.max_bad=99"}}, {{bad, "run.max_bad=7"}}}, {{bad, "run.max_bad=999"}});
}

TEST(SharedInput, AFailureOfTheInputIsThatOfEveryRun) {
  const std::string bad = "nodes.numbers.bad=[3]";
  Variant one{{bad}}, two{{bad, "run.steps=1"}};
  one.options.directory = "somewhere";  // for the line that says how to look at it
  expect_as_alone({one, two}, {{bad}});
  EXPECT_THAT(run_together({one}, {{bad}}).runs[0].error, HasSubstr("\n  replay: flowrun replay somewhere --sample 3 --epoch 0 --node numbers"));
  expect_as_alone({{{"nodes.stack.fail_step=4"}}, {{"nodes.stack.fail_step=4"}}}, {{"nodes.stack.fail_step=4"}});
  expect_as_alone({{{"nodes.stack.fail_fold=11"}}}, {{"nodes.stack.fail_fold=11"}});
}

TEST(SharedInput, RefusesWhatItCannotGive) {
  const auto error_of = [](const Variant& variant) { return run_together({variant}).runs[0].error; };
  EXPECT_THAT(error_of({{}, serial()}), HasSubstr("need threads"));
  EXPECT_THAT(error_of({{"nodes.stack.group=4"}}), HasSubstr("seed, samples or groups differ"));
  EXPECT_THAT(error_of({{"seed=8"}}), HasSubstr("seed, samples or groups differ"));
  const std::string more = changed(R"("stack":)", R"("more": { "type": "toy.noise", "in": "both" }, "stack":)");
  EXPECT_THAT(error_of({{"nodes.stack.in=more"}, threads(1), more}), HasSubstr("more works on samples, but only groups are shared"));
}

TEST(SharedInput, RandomShapesEqualThoseAlone) {
  for (uint64_t number = 0; number < 60; ++number) {
    SCOPED_TRACE("shape " + std::to_string(number));
    Rng rng(2025, 1, 0, number);
    const uint32_t group = 1 + rng.below(5), groups = 1 + rng.below(5);
    const std::vector<std::string> common = {"nodes.stack.size=" + std::to_string(group * groups),
                                             "nodes.stack.group=" + std::to_string(group),
                                             "nodes.numbers.n=" + std::to_string(group * groups + rng.below(40)),
                                             "nodes.numbers.bad=[1, 2]",
                                             "nodes.stack.claim_mib=10",
                                             "seed=" + std::to_string(number)};
    std::vector<Variant> variants(1 + rng.below(4));
    for (Variant& variant : variants) {
      variant.sets = common;
      variant.sets.push_back("run.epochs=" + std::to_string(1 + rng.below(3)));
      variant.sets.push_back("run.memory_mib=" + std::to_string(11 + rng.below(40)));
      variant.sets.push_back("run.max_bad=" + std::to_string(1 + rng.below(8)));
      if (rng.chance(0.2)) variant.sets.push_back("nodes.learn.fail_step=" + std::to_string(1 + rng.below(4)));
      if (rng.chance(0.2)) variant.stop_at = 1 + rng.below(6);
      if (rng.chance(0.3)) variant.text = evaluating();
      variant.options = threads(static_cast<int>(1 + rng.below(4)), rng.chance(0.5) ? number + 1 : 0);
    }
    std::vector<std::string> leader = common;
    leader.emplace_back("run.max_bad=999");
    expect_as_alone(variants, {leader, rng.chance(0.5), threads(static_cast<int>(1 + rng.below(4)), number)});
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace flowrun::toy
