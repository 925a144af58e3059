// Whole nodes: all groups of a step meet there, between device nodes.
#include <barrier>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mutex>
#include <thread>

#include "graph/contract/ranks.h"
#include "graph/plan/lower.h"
#include "support/toy_nodes.h"

namespace flowrun::toy {
namespace {

using testing::HasSubstr;

/// Two whole nodes that share a barrier, a third behind it, and nodes before, between and behind them.
const char* const coupled = R"({
  "seed": 7,
  "run": { "epochs": 2 },
  "models": {
    "student": { "type": "toy.weights" },
    "teacher": { "type": "toy.copy", "of": "student" }
  },
  "nodes": {
    "numbers": { "type": "toy.numbers", "n": 50 },
    "one":     { "type": "toy.noise", "in": "numbers" },
    "stack":   { "type": "toy.stack", "in": "one", "size": 12, "group": 3 },
    "mask":    { "type": "toy.mask", "in": "stack" },
    "learn":   { "type": "toy.scale", "in": { "numbers": "stack", "mask": "mask" }, "model": "student" },
    "teach":   { "type": "toy.scale", "in": "stack", "model": "teacher" },
    "project": { "type": "toy.total", "in": { "dots": ["learn"] } },
    "aside":   { "type": "toy.total", "in": { "dots": ["teach"] } },
    "ours":    { "type": "toy.centre", "in": "project.dot", "noise": 0.5 },
    "theirs":  { "type": "toy.centre", "in": "teach" },
    "apart":   { "type": "toy.add", "in": { "a": "ours", "b": "theirs" } },
    "last":    { "type": "toy.centre", "in": "apart.dot" },
    "loss":    { "type": "toy.total", "in": { "dots": ["last", "project", "ours", "aside"] } },
    "update":  { "type": "toy.sum", "in": "loss", "model": "student" },
    "ema":     { "type": "toy.ema", "after": "update", "from": "student", "to": "teacher" },
    "count":   { "type": "toy.count", "in": { "loss": "update" } },
    "record":  { "type": "toy.record", "models": ["student", "teacher"] }
  }
})";

const std::vector<std::string> both = {"run.coupling=keep", "run.coupling=again"};

TEST(Whole, EqualsTheSerialRunOnAnyNumberOfThreads) {
  const ToyRun expected = run_toy(coupled, serial());
  ASSERT_EQ(expected.faults, "");
  ASSERT_EQ(expected.error, "");
  EXPECT_EQ(expected.result.steps, 8);
  EXPECT_NE(expected.steps[0].reports.at("loss"), expected.steps[1].reports.at("loss"));
  for (const std::string& coupling : both) {
    SCOPED_TRACE(coupling);
    expect_equal(expected, run_toy(coupled, serial(), {coupling}));
    for (const int count : {1, 2, 4}) {
      for (uint64_t jitter = 0; jitter < 4; ++jitter) expect_equal(expected, run_toy(coupled, threads(count, jitter), {coupling}));
    }
  }
}

TEST(Whole, SeesAllGroupsAndAddressesItsNumbersByTheStep) {
  const auto losses = [](const std::vector<std::string>& sets) {
    std::vector<double> out;
    for (const StepSeen& step : run_toy(coupled, serial(), sets).steps) out.push_back(step.reports.at("loss"));
    return out;
  };
  const std::vector<double> one = losses({});
  EXPECT_NE(one, losses({"nodes.ours.noise=0.6"}));
  EXPECT_EQ(one, losses({"nodes.theirs.noise=0"}));
  EXPECT_NE(one, losses({"nodes.stack.group=4"}));
}

TEST(Whole, ResumesAtEveryStep) {
  const ToyRun all = run_toy(coupled, serial());
  for (const std::string& coupling : both) {
    for (int64_t at = 1; at < all.result.steps; ++at) {
      EngineOptions options = threads(2, 3);
      options.resume = ResumePoint{at, all.snapshots[static_cast<size_t>(at - 1)]};
      const ToyRun rest = run_toy(coupled, options, {coupling});
      ASSERT_EQ(rest.error, "");
      EXPECT_EQ(rest.models(), all.models());
    }
  }
}

TEST(Whole, FailsUnderItsOwnName) {
  const ToyRun expected = run_toy(coupled, serial(), {"nodes.theirs.fail_step=3"});
  EXPECT_THAT(expected.error, HasSubstr("theirs: they have nothing in common\n  step 3"));
  EXPECT_THAT(expected.error, testing::Not(HasSubstr("ours")));
  EXPECT_EQ(expected.steps.size(), 2u);
  for (uint64_t jitter = 0; jitter < 3; ++jitter) expect_equal(expected, run_toy(coupled, threads(2, jitter), {"nodes.theirs.fail_step=3"}));
}

TEST(Whole, AFailureBeforeItEndsTheRun) {
  for (const char* set : {"nodes.stack.fail_step=4", "nodes.learn.fail_step=4", "nodes.numbers.bad=[9]"}) {
    const ToyRun expected = run_toy(coupled, serial(), {set});
    EXPECT_NE(expected.error, "");
    for (uint64_t jitter = 0; jitter < 3; ++jitter) expect_equal(expected, run_toy(coupled, threads(2, jitter), {set}));
  }
}

TEST(Whole, NeedsMemoryForAllGroupsOfAStep) {
  EXPECT_EQ(run_toy(coupled, threads(2), {"nodes.stack.claim_mib=10", "run.memory_mib=41"}).error, "");
  const ToyRun run = run_toy(coupled, threads(2), {"nodes.stack.claim_mib=10", "run.memory_mib=39"});
  EXPECT_TRUE(run.pipeline_error);
  EXPECT_THAT(run.error, HasSubstr("run.memory_mib is 39, but ours needs all 4 groups of a step at once, which are 41 MiB: raise run.memory_mib, or "
                                   "make the batch smaller"));
  EXPECT_TRUE(run.steps.empty());
}

TEST(Whole, AnEvaluationHasNone) {
  std::string text = coupled;
  text.replace(text.find("\"record\""), 0, R"("held": { "type": "toy.numbers", "n": 12 },
    "heldstack": { "type": "toy.stack", "in": "held", "size": 4, "group": 4 },
    "product": { "type": "toy.scale", "in": "heldstack", "model": "student" },
    "centred": { "type": "toy.centre", "in": "product" },
    "measure": { "type": "toy.measure", "in": { "numbers": "heldstack", "dot": "centred" }, "model": "student" },
    )");
  EXPECT_THAT(faults_of(text), HasSubstr("centred: a whole node takes all groups of a training step, and held leads to none"));
}

TEST(Whole, CantReadSamples) {
  std::string text = coupled;
  text.replace(text.find("\"in\": \"teach\""), 13, "\"in\": \"one\"");
  EXPECT_THAT(faults_of(text), HasSubstr("theirs"));
}

TEST(Whole, IsNoStub) {
  EngineOptions options = serial();
  options.stubs = {"ours"};
  EXPECT_THAT(run_toy(coupled, options).error, HasSubstr("ours takes all groups of a step, so it can't replay one"));
  options.stubs = {"stack"};
  EXPECT_EQ(run_toy(coupled, options).error, "");
}

/// The tasks of the group level in words.
std::vector<std::string> tasks_of(const std::string& coupling) {
  const CheckedPipeline pipeline = checked(coupled, {coupling});
  const Plan plan = lower(pipeline);
  std::vector<std::string> out;
  for (const Task& task : plan.streams[0].level[group_level].tasks) {
    static constexpr const char* parts[] = {"", " first", " again", " fold", " give"};
    if (task.node >= 0) {
      out.push_back(std::to_string(task.phase) + " " + pipeline.nodes[static_cast<size_t>(task.node)].name + parts[static_cast<int>(task.part)]);
    }
  }
  return out;
}

TEST(Whole, KeepRunsEveryNodeOnceAsSoonAsItCan) {
  EXPECT_THAT(tasks_of("run.coupling=keep"),
              testing::UnorderedElementsAre("0 stack", "0 mask", "0 learn", "0 teach", "0 project", "0 aside", "0 ours fold", "0 theirs fold",
                                            "1 ours give", "1 theirs give", "1 apart", "1 last fold", "2 last give", "2 loss"));
}

TEST(Whole, AgainRunsWhatLeadsToItTwiceAndTheRestBehindIt) {
  // toy.scale reads host nodes alone, as an upload does, so it is not repeated.
  EXPECT_THAT(tasks_of("run.coupling=again"), testing::UnorderedElementsAre("0 stack", "0 mask", "0 learn", "0 teach", "0 project first",
                                                                            "0 ours fold", "0 theirs fold", "1 ours give", "1 theirs give", "1 apart",
                                                                            "1 last fold", "2 last give", "2 project again", "2 aside", "2 loss"));
}

/// Ranks in threads of this process. All must make the same calls in the same order; those that don't end with an error.
struct Meeting {
  explicit Meeting(int world) : words(static_cast<size_t>(world)), everyone(world) {}
  std::vector<std::string> words;
  std::barrier<> everyone;
  std::mutex mutex;
  std::vector<std::string> faults;
};

class RanksInThreads final : public Ranks {
 public:
  RanksInThreads(Meeting& meeting, int rank, int world) : Ranks({.rank = rank, .world = world}), meeting_(meeting) {}
  void sum(std::vector<int64_t>& values, const std::string& what) override {
    const std::string mine(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(int64_t));
    const std::vector<std::string> all = gather(mine, what);
    std::fill(values.begin(), values.end(), 0);
    for (const std::string& bytes : all) {
      for (size_t i = 0; i < values.size() && bytes.size() == mine.size(); ++i) {  // modulo 2^64: ledgers are among them
        const uint64_t sum = static_cast<uint64_t>(values[i]) + reinterpret_cast<const uint64_t*>(bytes.data())[i];
        values[i] = static_cast<int64_t>(sum);
      }
    }
  }
  std::vector<std::string> gather(const std::string& mine, const std::string& what) override {
    const std::vector<std::string> purposes = exchange(purpose(what));
    for (const std::string& other : purposes) {
      const std::lock_guard lock(meeting_.mutex);
      if (other != purposes[0]) meeting_.faults.push_back(purposes[0] + " meets " + other);
    }
    return exchange(mine);
  }
  void failed(const std::string&) noexcept override {}
  bool first_to(const std::string&) noexcept override { return launch().rank == 0; }

 private:
  std::vector<std::string> exchange(const std::string& mine) {
    meeting_.words[static_cast<size_t>(launch().rank)] = mine;
    meeting_.everyone.arrive_and_wait();
    std::vector<std::string> out = meeting_.words;
    meeting_.everyone.arrive_and_wait();
    return out;
  }
  Meeting& meeting_;
};

std::vector<ToyRun> run_ranks(const std::string& text, int world, uint64_t jitter, const std::vector<std::string>& sets) {
  Meeting meeting(world);
  std::vector<ToyRun> out(static_cast<size_t>(world));
  std::vector<std::thread> running;
  for (int rank = 0; rank < world; ++rank) {
    running.emplace_back([&, rank] {
      RanksInThreads ranks(meeting, rank, world);
      EngineOptions options = threads(2, jitter == 0 ? 0 : jitter * 100 + static_cast<uint64_t>(rank));
      options.rank = rank, options.world = world, options.ranks = &ranks;
      out[static_cast<size_t>(rank)] = run_toy(text, std::move(options), sets);
    });
  }
  for (std::thread& thread : running) thread.join();
  EXPECT_THAT(meeting.faults, testing::IsEmpty());
  return out;
}

TEST(Whole, RanksSeeTheGroupsOfAllAndMakeTheSameCallsInTheSameOrder) {
  // Nothing learns, so passes of the next step could overtake the whole nodes of this one.
  std::string text = coupled;
  const auto replace = [&](const std::string& from, const std::string& to) { text.replace(text.find(from), from.size(), to); };
  replace(R"("toy.sum", "in": "loss", "model": "student")", R"("toy.totals", "in": { "dots": ["loss"] })");
  replace(R"("toy.ema", "after": "update", "from": "student", "to": "teacher")", R"("toy.look", "in": "stack")");
  replace(R"("toy.count", "in": { "loss": "update" })", R"("toy.count")");
  const ToyRun expected = run_toy(text, serial());
  ASSERT_EQ(expected.faults, "");
  for (const std::string& coupling : both) {
    for (uint64_t jitter = 0; jitter < 6; ++jitter) {
      const std::vector<ToyRun> ranks = run_ranks(text, 4, jitter, {coupling});
      for (const ToyRun& run : ranks) {
        ASSERT_EQ(run.error, "");
        ASSERT_EQ(run.steps.size(), expected.steps.size());
        for (size_t s = 0; s < run.steps.size(); ++s) EXPECT_EQ(run.steps[s].ledger, expected.steps[s].ledger);
      }
      // One group a rank: the sum over the ranks' groups in their order is that of one process.
      for (size_t s = 0; s < expected.steps.size(); ++s) {
        double sum = 0;
        for (const ToyRun& run : ranks) sum = std::sin(sum) + run.steps[s].reports.at("totals");
        EXPECT_EQ(sum, expected.steps[s].reports.at("totals")) << "step " << s + 1;
      }
    }
  }
}

}  // namespace
}  // namespace flowrun::toy
