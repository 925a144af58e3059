// Runs that stop, fail, evaluate, resume, or share their work among ranks.
#include "graph/engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "graph/contract/device.h"
#include "support/toy_nodes.h"

namespace flowrun::toy {
namespace {

using testing::HasSubstr;

const std::vector<int> all_threads = {1, 2, 4, 8};

TEST(Resume, AtEveryStepEqualsTheUninterruptedRun) {
  const ToyRun whole = run_toy(training, serial());
  for (int64_t at = 1; at <= whole.result.steps; ++at) {
    for (const bool parallel : {false, true}) {
      EngineOptions options = parallel ? threads(2, 3) : serial();
      options.resume = ResumePoint{at, whole.snapshots[static_cast<size_t>(at - 1)]};
      const ToyRun rest = run_toy(training, options);
      ASSERT_EQ(rest.error, "");
      ASSERT_EQ(rest.steps.size(), static_cast<size_t>(whole.result.steps - at));
      for (size_t s = 0; s < rest.steps.size(); ++s) EXPECT_TRUE(rest.steps[s] == whole.steps[s + static_cast<size_t>(at)]);
      if (!rest.steps.empty()) {
        EXPECT_EQ(rest.models(), whole.models());
      }
      EXPECT_EQ(rest.result.steps, whole.result.steps);
    }
  }
}

TEST(Resume, NamesTheStateThatIsMissing) {
  const ToyRun whole = run_toy(training, serial());
  for (const char* owner : {"student", "count"}) {
    EngineOptions options = serial();
    options.resume = ResumePoint{2, whole.snapshots[1]};
    options.resume->snapshot.erase(owner);
    EXPECT_THAT(run_toy(training, options).error, HasSubstr(std::string(owner) + ": the checkpoint has no state of it"));
  }
}

TEST(Stop, EndsAfterTheStepInFlightAndResumesEqually) {
  const ToyRun whole = run_toy(training, serial());
  for (const int count : all_threads) {
    for (const int64_t at : {1, 4, 7, 12}) {
      std::atomic<bool> stop{false};
      EngineOptions options = threads(count, 9);
      options.stop = &stop;
      options.on_step = [&](const StepContext& context) { stop = context.step == at; };
      const ToyRun run = run_toy(training, options);
      EXPECT_EQ(run.error, "");
      EXPECT_EQ(run.result.stopped, at < whole.result.steps);
      EXPECT_EQ(run.result.steps, at);
      EXPECT_EQ(run.models(), bytes_of(whole.snapshots[static_cast<size_t>(at - 1)]));
    }
  }
}

TEST(Stop, BeforeTheFirstStepRunsNone) {
  const std::atomic<bool> stop{true};
  EngineOptions options = threads(2);
  options.stop = &stop;
  const ToyRun run = run_toy(training, options);
  EXPECT_TRUE(run.result.stopped);
  EXPECT_EQ(run.result.steps, 0);
}

// The sample that comes right behind the step of the stop is bad: the stop wins, and the resumed run meets the sample.
TEST(Stop, WinsOverAFailureBehindIt) {
  std::vector<std::string> sets;
  int64_t good = 0;
  for (int bad = 0; bad < 50 && (good < 3 || good > 20); ++bad) {
    sets = {"nodes.numbers.bad=[" + std::to_string(bad) + "]", "run.epochs=1", "nodes.stack.size=2", "nodes.stack.group=1"};
    good = static_cast<int64_t>(run_toy(training, serial(), sets).steps.size());
  }
  ASSERT_TRUE(good >= 3 && good <= 20);
  for (int repeat = 0; repeat < 20; ++repeat) {
    std::atomic<bool> stop{false};
    EngineOptions options = threads(4, 1 + static_cast<uint64_t>(repeat));
    options.stop = &stop;
    options.on_step = [&](const StepContext& context) { stop = context.step == good; };
    const ToyRun run = run_toy(training, options, sets);
    EXPECT_EQ(run.error, "");
    EXPECT_TRUE(run.result.stopped);
    EXPECT_EQ(run.result.steps, good);
  }
}

TEST(Ledger, StaysWhenUnrelatedNodesAreAdded) {
  const ToyRun before = run_toy(training, serial());
  std::string text = training;
  text.replace(text.find("\"record\""), 0, R"("extra": { "type": "toy.noise", "in": "numbers" },
    "pile": { "type": "toy.stack", "in": "extra", "size": 12, "group": 3 },
    "weigh": { "type": "toy.scale", "in": "pile", "model": "teacher" },
    "sink": { "type": "toy.count", "in": { } },
    "judge": { "type": "toy.sum", "in": "weigh", "model": "other" },
    )");
  text.replace(text.find("\"student\""), 0, R"("other": { "type": "toy.weights" }, )");
  ASSERT_EQ(faults_of(text), "");
  const ToyRun after = run_toy(text, threads(2, 4));
  ASSERT_EQ(after.error, "");
  ASSERT_EQ(before.steps.size(), after.steps.size());
  for (size_t s = 0; s < before.steps.size(); ++s) {
    EXPECT_EQ(before.steps[s].reports.at("first student"), after.steps[s].reports.at("first student"));
  }
  for (const auto& [name, bytes] : before.models()) EXPECT_EQ(after.models().at(name), bytes) << name;
}

// Nodes that lead to no model that learns are not part of the ledger.
TEST(Ledger, LeavesOutWhatOnlyReports) {
  const ToyRun before = run_toy(training, serial());
  std::string text = training;
  text.replace(text.find("\"record\""), 0, R"("extra": { "type": "toy.noise", "in": "numbers" },
    "pile": { "type": "toy.stack", "in": "extra", "size": 12, "group": 3 },
    "look": { "type": "toy.look", "in": "pile" },
    )");
  const ToyRun after = run_toy(text, threads(2, 4));
  ASSERT_EQ(after.faults, "");
  ASSERT_EQ(before.steps.size(), after.steps.size());
  for (size_t s = 0; s < before.steps.size(); ++s) EXPECT_EQ(before.steps[s].ledger, after.steps[s].ledger);
}

TEST(Ledger, FollowsTheStreamNameNotTheNodeName) {
  std::string text = training;
  for (const char* quoted : {"\"one\"", "\"one\""}) {
    const size_t at = text.find(quoted);
    ASSERT_NE(at, std::string::npos);
    text.replace(at, 5, "\"eins\"");
  }
  const ToyRun before = run_toy(training, serial()), renamed = run_toy(text, serial());
  const ToyRun pinned = run_toy(text, serial(), {"nodes.eins.stream=one"});
  EXPECT_NE(before.steps[0].ledger, renamed.steps[0].ledger);
  EXPECT_EQ(before.steps[0].ledger, pinned.steps[0].ledger);
  EXPECT_EQ(before.models(), pinned.models());
}

// A rank works on whole groups of every step; the ledgers of all ranks add up to that of a single process.
TEST(Ranks, LedgersAddUp) {
  for (const int world : {2, 4}) {
    const ToyRun alone = run_toy(training, serial());
    std::vector<ToyRun> ranks;
    for (int rank = 0; rank < world; ++rank) {
      EngineOptions options = threads(2, 2);
      options.rank = rank;
      options.world = world;
      ranks.push_back(run_toy(training, options));
      ASSERT_EQ(ranks.back().error, "");
      ASSERT_EQ(ranks.back().steps.size(), alone.steps.size());
    }
    for (size_t s = 0; s < alone.steps.size(); ++s) {
      uint64_t sum = 0;
      for (const ToyRun& rank : ranks) sum += rank.steps[s].ledger;
      EXPECT_EQ(sum, alone.steps[s].ledger) << "step " << s + 1;
      EXPECT_EQ(ranks[0].steps[s].images, alone.steps[s].images);
    }
  }
}

TEST(Ranks, MustDivideTheGroups) {
  EngineOptions options = serial();
  options.world = 3;
  const ToyRun run = run_toy(training, options);
  EXPECT_TRUE(run.pipeline_error);
  EXPECT_THAT(run.error, HasSubstr("3 ranks can't share 4 groups"));
}

/// Both branches of the diamond fail, with this chance each.
std::string failing(double chance) {
  std::string text = training;
  const std::string noise = "\"toy.noise\"";
  for (size_t at = text.find(noise); at != std::string::npos; at = text.find(noise)) {
    text.replace(at, noise.size(), "\"toy.fail\", \"chance\": " + std::to_string(chance));
  }
  return text;
}

TEST(BadSample, EndsTheRunAndIsNamed) {
  const ToyRun expected = run_toy(training, serial(), {"nodes.numbers.bad=[17,31]", "run.epochs=1"});
  EXPECT_THAT(expected.error, HasSubstr("numbers: the number is bad\n  sample "));
  EXPECT_THAT(expected.error, HasSubstr(" of numbers: number-"));
  EXPECT_THAT(expected.error, HasSubstr("\n  epoch 0, step "));
  EXPECT_THAT(expected.error, HasSubstr("run.max_bad"));
  for (const int count : all_threads) {
    for (uint64_t jitter = 0; jitter < 6; ++jitter) {
      expect_equal(expected, run_toy(training, threads(count, jitter), {"nodes.numbers.bad=[17,31]", "run.epochs=1"}));
    }
  }
}

TEST(BadSample, ManyAtOnceStillNameTheFirst) {
  const std::string text = failing(0.2);
  const ToyRun expected = run_toy(text, serial());
  ASSERT_EQ(expected.faults, "");
  ASSERT_THAT(expected.error, HasSubstr("bad luck"));
  for (const int count : all_threads) {
    for (uint64_t jitter = 0; jitter < 10; ++jitter) {
      const ToyRun run = run_toy(text, threads(count, jitter));
      EXPECT_EQ(expected.error, run.error);
    }
  }
}

TEST(BadSample, IsReplacedTheSameWayEverywhere) {
  const std::string text = failing(0.2);
  const std::vector<std::string> sets = {"run.max_bad=500"};
  const ToyRun expected = run_toy(text, serial(), sets);
  ASSERT_EQ(expected.faults, "");
  ASSERT_EQ(expected.error, "");
  EXPECT_EQ(expected.result.steps, 12);
  EXPECT_GT(expected.quarantine.size(), 20u);
  for (const int count : all_threads) {
    for (uint64_t jitter = 0; jitter < 4; ++jitter) expect_equal(expected, run_toy(text, threads(count, jitter), sets));
  }
  // Their count is part of a checkpoint.
  EngineOptions options = threads(2);
  options.resume = ResumePoint{5, expected.snapshots[4]};
  const ToyRun rest = run_toy(text, options, sets);
  EXPECT_EQ(rest.models(), expected.models());
}

TEST(BadSample, AFatalOneEndsTheRunWhateverTheBudget) {
  const std::string text = failing(0);
  const std::vector<std::string> sets = {"nodes.one.fatal=[17,31]", "run.max_bad=500"};
  const ToyRun expected = run_toy(text, serial(), sets);
  EXPECT_THAT(expected.error, HasSubstr(" is fatal\n  sample "));
  EXPECT_THAT(expected.error, testing::Not(HasSubstr("run.max_bad")));
  for (const int count : all_threads) {
    for (uint64_t jitter = 0; jitter < 4; ++jitter) expect_equal(expected, run_toy(text, threads(count, jitter), sets));
  }
}

TEST(BadSample, KeptOnesAreListedAndNotCounted) {
  const std::string text = failing(0.2);
  const std::vector<std::string> sets = {"run.max_bad=500"};
  std::vector<std::string> odd = sets;
  odd.push_back("nodes.two.odd=[3,17,31]");
  const ToyRun plain = run_toy(text, serial(), sets), expected = run_toy(text, serial(), odd);
  ASSERT_EQ(expected.faults + expected.error, "");
  EXPECT_EQ(plain.models(), expected.models());
  std::vector<std::string> replaced;
  for (const std::string& line : expected.quarantine) {
    if (!line.ends_with(" is odd (kept)")) replaced.push_back(line);
  }
  EXPECT_GT(expected.quarantine.size(), replaced.size());
  EXPECT_EQ(plain.quarantine, replaced);
  for (const int count : all_threads) {
    for (uint64_t jitter = 0; jitter < 4; ++jitter) expect_equal(expected, run_toy(text, threads(count, jitter), odd));
  }
}

TEST(BadSample, TooManyEndTheRunAtTheSamePlace) {
  const std::string text = failing(0.2);
  const ToyRun expected = run_toy(text, serial(), {"run.max_bad=20"});
  EXPECT_THAT(expected.error, HasSubstr("more than run.max_bad = 20 samples failed"));
  std::set<std::string> files;  // each counts once, however often it recurs
  for (const std::string& line : expected.quarantine) files.insert(line.substr(line.find(' ')));
  EXPECT_EQ(files.size(), 21u);
  EXPECT_GT(expected.quarantine.size(), files.size());
  for (const int count : all_threads) {
    for (uint64_t jitter = 0; jitter < 4; ++jitter) expect_equal(expected, run_toy(text, threads(count, jitter), {"run.max_bad=20"}));
  }
}

TEST(BadSample, AllOfThemEndTheRun) {
  const std::string text = failing(1);
  for (const int count : all_threads) {
    EXPECT_THAT(run_toy(text, threads(count), {"run.max_bad=1000000"}).error, HasSubstr("one: bad luck"));
  }
}

struct Fault {
  const char* set;
  const char* message;
};
void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.set; }

class NodeFailure : public testing::TestWithParam<Fault> {};
INSTANTIATE_TEST_SUITE_P(Engine, NodeFailure,
                         testing::Values(Fault{"nodes.stack.fail_step=6", "stack: this group is bad\n  step 6, group "},
                                         Fault{"nodes.mask.fail_step=6", "mask: no mask fits\n  step 6, group "},
                                         Fault{"nodes.learn.fail_step=6", "learn: the device is gone\n  step 6"},
                                         Fault{"nodes.teach.fail_step=6", "teach: the device is gone\n  step 6"},
                                         Fault{"nodes.update.fail_step=6", "update: the loss is not finite\n  step 6"},
                                         Fault{"nodes.record.fail_step=6", "record: the disk is full\n  step 6"}));

TEST_P(NodeFailure, EndsTheRunAfterTheStepsBefore) {
  const ToyRun whole = run_toy(training, serial());
  const ToyRun expected = run_toy(training, serial(), {GetParam().set});
  EXPECT_THAT(expected.error, HasSubstr(GetParam().message));
  EXPECT_EQ(expected.steps.size(), 5u);
  EXPECT_EQ(expected.models(), bytes_of(whole.snapshots[4]));
  for (const int count : all_threads) {
    for (uint64_t jitter = 0; jitter < 3; ++jitter) expect_equal(expected, run_toy(training, threads(count, jitter), {GetParam().set}));
  }
}

TEST(NodeFailure, OfAFoldNamesNodeAndSample) {
  const ToyRun expected = run_toy(training, serial(), {"nodes.stack.fail_fold=33"});
  EXPECT_THAT(expected.error, HasSubstr("stack: it does not fit\n  sample 33 of numbers: number-33"));
  for (const int count : all_threads) expect_equal(expected, run_toy(training, threads(count, 3), {"nodes.stack.fail_fold=33"}));
}

// Two evaluation streams, one through the device, one with a partial last group.
std::string with_evaluations(const std::string& at) {
  std::string text = training;
  text.replace(text.find("\"record\""), 0,
               R"("held":  { "type": "toy.numbers", "n": 23 },
    "heldstack": { "type": "toy.stack", "in": "held", "size": 8, "group": 8 },
    "other":  { "type": "toy.numbers", "n": 5 },
    "othernoise": { "type": "toy.noise", "in": "other" },
    "otherstack": { "type": "toy.stack", "in": "othernoise", "size": 4, "group": 2 },
    "product": { "type": "toy.scale", "in": "otherstack", "model": "student" },
    "measure": { "type": "toy.measure", "in": { "numbers": "heldstack", "other": "otherstack", "dot": "product" }, "model": "student", "at": )" +
                   at + R"( },
    "last": { "type": "toy.measure", "in": "heldstack", "model": "teacher" },
    )");
  return text;
}

TEST(Evaluation, HappensAtItsMoments) {
  const auto moments = [](const std::string& at) {
    std::vector<int64_t> out;
    const ToyRun run = run_toy(with_evaluations(at), serial());
    EXPECT_EQ(run.faults + run.error, "");
    for (const EvaluationSeen& seen : run.evaluations) {
      if (seen.node == "measure") out.push_back(seen.step);
    }
    return out;
  };
  EXPECT_EQ(moments("\"end\""), (std::vector<int64_t>{12}));
  EXPECT_EQ(moments("\"start\""), (std::vector<int64_t>{0}));
  EXPECT_EQ(moments("[\"start\", \"end\"]"), (std::vector<int64_t>{0, 12}));
  EXPECT_EQ(moments("\"1 epoch\""), (std::vector<int64_t>{4, 8, 12}));
  EXPECT_EQ(moments("[\"2 epochs\", \"5 steps\"]"), (std::vector<int64_t>{5, 8, 10}));
  EXPECT_EQ(moments("[\"6 steps\", \"end\"]"), (std::vector<int64_t>{6, 12}));
}

TEST(Evaluation, PassesAllStreamsInOrderAndLeavesTrainingAlone) {
  const ToyRun plain = run_toy(training, serial());
  const std::string text = with_evaluations("[\"start\", \"1 epoch\", \"5 steps\", \"end\"]");
  const ToyRun expected = run_toy(text, serial());
  ASSERT_EQ(expected.faults + expected.error, "");
  EXPECT_EQ(expected.models(), plain.models());
  ASSERT_EQ(expected.evaluations.size(), 7u);  // 0, 4, 5, 8, 10, 12 and the one at the end
  for (const EvaluationSeen& seen : expected.evaluations) {
    EXPECT_EQ(seen.reports.at("images"), 23);
    EXPECT_EQ(seen.reports.at("others"), seen.node == "measure" ? 5 : 0);
    EXPECT_EQ(seen.reports.at("groups"), seen.node == "measure" ? 3 + 3 + 0 : 3);
  }
  for (const int count : all_threads) {
    for (uint64_t jitter = 0; jitter < 3; ++jitter) expect_equal(expected, run_toy(text, threads(count, jitter)));
  }
}

TEST(Evaluation, ThatFailsEndsNoTraining) {
  for (const char* set : {"nodes.measure.fail=true", "nodes.held.bad=[3]"}) {
    const ToyRun expected = run_toy(with_evaluations("\"1 epoch\""), serial(), {set, "run.max_bad=9"});
    EXPECT_EQ(expected.error, "");
    EXPECT_EQ(expected.steps.size(), 12u);
    EXPECT_LE(expected.evaluations.size(), 1u) << "at the start at most: it is left out from then on";
    ASSERT_TRUE(expected.result.failed_evaluations.contains("measure"));
    EXPECT_NE(expected.result.failed_evaluations.at("measure"), "");
    for (const int count : all_threads) {
      expect_equal(expected, run_toy(with_evaluations("\"1 epoch\""), threads(count, 5), {set, "run.max_bad=9"}));
    }
  }
}

TEST(Evaluation, NeedsNoTraining) {
  const char* const text = R"({ "models": { "m": { "type": "toy.weights" } }, "nodes": {
    "held": { "type": "toy.numbers", "n": 10 }, "stack": { "type": "toy.stack", "in": "held", "size": 4, "group": 4 },
    "measure": { "type": "toy.measure", "in": "stack", "model": "m" } } })";
  const ToyRun run = run_toy(text, threads(2));
  EXPECT_EQ(run.faults + run.error, "");
  ASSERT_EQ(run.evaluations.size(), 1u);
  EXPECT_EQ(run.evaluations[0].reports.at("images"), 10);
}

TEST(Evaluation, KeptSamplesAreToldAsSuch) {
  const char* const text = R"({ "models": { "m": { "type": "toy.weights" } }, "nodes": {
    "held": { "type": "toy.numbers", "n": 10 }, "odd": { "type": "toy.fail", "in": "held", "odd": [7, 3] },
    "stack": { "type": "toy.stack", "in": "odd", "size": 4, "group": 4 },
    "measure": { "type": "toy.measure", "in": "stack", "model": "m" } } })";
  for (const int count : all_threads) {
    const ToyRun run = run_toy(text, threads(count, 3));
    EXPECT_EQ(run.faults + run.error, "");
    EXPECT_EQ(run.evaluations.at(0).reports.at("images"), 10);
    EXPECT_THAT(run.quarantine, testing::ElementsAre("0/3 number-3: odd: sample 3 is odd (kept) (evaluation)",
                                                     "0/7 number-7: odd: sample 7 is odd (kept) (evaluation)"));
  }
}

TEST(Sizes, TooFewSamples) {
  const ToyRun few = run_toy(training, serial(), {"nodes.numbers.n=11"});
  EXPECT_TRUE(few.pipeline_error);
  EXPECT_THAT(few.error, HasSubstr("numbers has 11 samples, fewer than the batch of 12"));
  EXPECT_EQ(run_toy(training, threads(2), {"nodes.numbers.n=12"}).result.steps, 3);
  const ToyRun none = run_toy(with_evaluations("\"end\""), serial(), {"nodes.held.n=0"});
  EXPECT_TRUE(none.pipeline_error);
  EXPECT_THAT(none.error, HasSubstr("held has no samples"));
}

TEST(Sizes, StepsEndEarlyWithoutChangingSchedules) {
  const ToyRun whole = run_toy(training, serial());
  const ToyRun part = run_toy(training, threads(2), {"run.steps=5"});
  EXPECT_EQ(part.result.steps, 5);
  EXPECT_FALSE(part.result.stopped);
  EXPECT_EQ(part.models(), bytes_of(whole.snapshots[4]));
}

TEST(Memory, BudgetBoundsTheGroupsInFlight) {
  const auto groups = [](const char* budget) {
    const ToyRun run = run_toy(training, threads(2), {"nodes.stack.claim_mib=10", budget});
    EXPECT_EQ(run.error, "");
    return run.stats()["buffers"]["groups"].get<int>();
  };
  EXPECT_EQ(groups("run.memory_mib=1000"), 5);
  EXPECT_EQ(groups("run.memory_mib=35"), 3);
  EXPECT_EQ(groups("run.memory_mib=12"), 1);
  const ToyRun run = run_toy(training, threads(2), {"nodes.stack.claim_mib=10", "run.memory_mib=10"});
  EXPECT_TRUE(run.pipeline_error);
  EXPECT_THAT(run.error, HasSubstr("run.memory_mib is 10, but one group of 3 samples needs 11 MiB"));
}

TEST(Memory, IsMeasuredBehindABadFirstSample) {
  const ToyRun run = run_toy(training, threads(2), {"nodes.stack.claim_mib=10", "run.memory_mib=10", "nodes.numbers.bad=[0,1]", "run.max_bad=9"});
  EXPECT_TRUE(run.pipeline_error) << run.error;
}

TEST(Statistics, CountEveryCall) {
  const ToyRun run = run_toy(training, threads(4));
  const auto nodes = run.stats()["nodes"];
  EXPECT_EQ(nodes["numbers"]["count"], 144);
  EXPECT_EQ(nodes["both"]["count"], 144);
  EXPECT_EQ(nodes["mask"]["count"], 48);
  EXPECT_EQ(nodes["learn"]["count"], 48);
  EXPECT_EQ(nodes["update"]["count"], 12);
  EXPECT_EQ(nodes["update"]["scope"], "step");
  EXPECT_GT(nodes["learn"]["p95"].get<double>(), 0);
  EXPECT_GE(nodes["learn"]["p95"].get<double>(), nodes["learn"]["p50"].get<double>());
}

/// Remembers the threads that the engine announced, and their purpose.
struct Watch final : DeviceRuntime {
  std::mutex mutex;
  std::set<std::thread::id> device, data;
  void enter(const RunParams&) override {
    const std::lock_guard lock(mutex);
    device.insert(std::this_thread::get_id());
  }
  void enter_data_thread() override {
    const std::lock_guard lock(mutex);
    data.insert(std::this_thread::get_id());
  }
};

TEST(DeviceThread, IsNoDataThread) {
  static Watch watch;
  static DeviceRuntime plain;
  register_device(watch);
  std::set<std::thread::id> steps;
  EngineOptions options = threads(2, 3);
  options.on_step = [&](const StepContext&) { steps.insert(std::this_thread::get_id()); };
  const ToyRun run = run_toy(training, options);
  register_device(plain);
  EXPECT_EQ(run.error, "");
  EXPECT_EQ(steps, watch.device);
  EXPECT_EQ(watch.device.size(), 1u);
  EXPECT_GE(watch.data.size(), 1u);
  for (const auto& id : watch.device) EXPECT_FALSE(watch.data.contains(id));
}

}  // namespace
}  // namespace flowrun::toy
