// Faults of pipelines, found before anything runs; and the lowering of a valid one.
#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "graph/check/entries.h"
#include "graph/plan/lower.h"
#include "support/toy_nodes.h"

namespace flowrun::toy {
namespace {

using testing::HasSubstr;

std::string changed(const std::string& from, const std::string& to) {
  std::string text = training;
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

struct Case {
  const char *from, *to, *fault;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.to; }

class Fault : public testing::TestWithParam<Case> {};

TEST_P(Fault, IsFound) { EXPECT_THAT(faults_of(changed(GetParam().from, GetParam().to)), HasSubstr(GetParam().fault)); }

INSTANTIATE_TEST_SUITE_P(
    Validate, Fault,
    testing::Values(
        Case{"\"n\": 50", "\"m\": 50", "numbers: unknown parameter \"m\""},
        Case{"\"n\": 50", "\"n\": \"50\"", "numbers: n must be an integer, not a string"},
        Case{"\"n\": 50", "\"n\": -1", "numbers: n must be at least 0, not -1"}, Case{"toy.join", "toy.jion", "did you mean \"toy.join\"?"},
        Case{"\"in\": \"both\"", "\"in\": \"bth\"", "stack: no node or port \"bth\"\n"},
        Case{"\"in\": \"both\"", "\"in\": \"both.x\"", "both has no output \"x\""},
        Case{"{ \"a\": \"one\", \"b\": \"two\" }", "{ \"a\": \"one\" }", "both: not connected: b (Number)"},
        Case{"{ \"a\": \"one\", \"b\": \"two\" }", "{ \"a\": \"one\", \"b\": \"two\", \"c\": \"two\" }", "both: no input \"c\""},
        Case{"\"in\": \"stack\", \"model\": \"teacher\"", "\"in\": \"mask\", \"model\": \"teacher\"", "teach: input numbers takes Numbers"},
        Case{"\"model\": \"teacher\"", "\"model\": \"techer\"", "teach: no model \"techer\""},
        Case{"\"of\": \"student\"", "\"of\": \"teacher\"", "teacher: the model refers to itself"},
        Case{"\"in\": \"numbers\" },\n    \"two\"", "\"in\": \"both\" },\n    \"two\"", "the nodes form a cycle: both -> one -> both"},
        Case{"\"after\": \"update\", ", "", "ema and update both use the model student, and nothing says which comes first"},
        Case{"\"after\": \"update\"", "\"after\": \"stack\"", "after orders nodes of one scope"},
        Case{"\"after\": \"update\"", "\"after\": [\"update\", \"record\"]", "record runs after all others of its step, so ema can't come after it"},
        Case{"\"seed\": 7", "\"seed\": -7", "seed must be an integer, at least 0"},
        Case{"\"epochs\": 3", "\"epochs\": 0", "epochs must be at least 1"},
        Case{"\"epochs\": 3", "\"device\": \"gpu\"", "run: device can't be \"gpu\""},
        Case{"\"one\": ", "\"o ne\": ", "a node's name is made of letters, digits, _ and -"},
        Case{"\"record\":", "\"spare\": { \"type\": \"toy.noise\", \"in\": \"numbers\" }, \"record\":",
             "spare: nothing reads what it provides (number)"},
        Case{"\"in\": \"stack\", \"model\": \"teacher\"", "\"in\": \"numbers\", \"model\": \"teacher\"", "teach: input numbers takes Numbers"},
        Case{"\"record\":", "\"look\": { \"type\": \"toy.look\", \"in\": \"numbers\" }, \"record\":", "look: input numbers takes Numbers"},
        Case{"\"record\":", "\"judge\": { \"type\": \"toy.measure\", \"in\": \"stack\", \"model\": \"student\" }, \"record\":",
             "an evaluation can't read the stream that trains"},
        Case{"\"record\":",
             "\"more\": { \"type\": \"toy.numbers\" }, \"mix\": { \"type\": \"toy.join\", \"in\": { \"a\": \"more\", \"b\": \"one\" } }, \"pile\": { "
             "\"type\": \"toy.stack\", \"in\": \"mix\" }, \"look\": { \"type\": \"toy.look\", \"in\": \"pile\" }, \"record\":",
             "mix: samples of several sources meet: more, numbers"},
        Case{"\"record\":",
             "\"pile\": { \"type\": \"toy.stack\", \"in\": \"one\", \"size\": 6, \"group\": 3 }, \"look\": { \"type\": \"toy.look\", \"in\": "
             "\"pile\" }, \"record\":",
             "size and group must equal those of"}));

TEST(Validate, ShowsAllFaultsAtOnce) {
  std::string text = changed("\"n\": 50", "\"m\": 50");
  text.replace(text.find("\"in\": \"both\""), 12, "\"in\": \"bth\"");
  const std::string faults = faults_of(text, {"run.epochs=0"});
  EXPECT_THAT(faults, HasSubstr("--set:1:12: error: run: epochs must be at least 1, not 0"));
  EXPECT_THAT(faults, HasSubstr("unknown parameter \"m\""));
  EXPECT_THAT(faults, HasSubstr("no node or port \"bth\""));
  EXPECT_THAT(faults, HasSubstr("3 errors; nothing was run"));
}

TEST(Resolved, RunsAgainAsTheSamePipeline) {
  CheckedPipeline pipeline = checked(training);
  const auto resolved = resolved_json(pipeline);
  const std::string text = resolved.dump(2);
  ASSERT_EQ(faults_of(text), "");
  CheckedPipeline again = checked(text);
  EXPECT_EQ(resolved_json(again).dump(), resolved.dump());
  expect_equal(run_toy(training, serial()), run_toy(text, serial()));
}

TEST(Resolved, HashCoversWhatAffectsResults) {
  const auto hash = [](const std::vector<std::string>& sets) {
    CheckedPipeline pipeline = checked(training, sets);
    return resolved_json(pipeline)["resolved"]["hash"].get<std::string>();
  };
  const std::string base = hash({});
  EXPECT_EQ(hash({"run.threads=3"}), base);
  EXPECT_EQ(hash({"run.memory_mib=3000"}), base);
  EXPECT_NE(hash({"seed=8"}), base);
  EXPECT_NE(hash({"one.scale=2"}), base);
}

TEST(Lower, PlanHasSlotsParentsAndGates) {
  const CheckedPipeline pipeline = checked(training);
  const std::string plan = describe_plan(pipeline, lower(pipeline));
  EXPECT_THAT(plan, HasSubstr("stream of numbers, trains: steps of 12 samples in 4 groups\n  per sample: 4 slots\n"
                              "    0 numbers [pool]  waits for 0, then one, two\n    1 one [pool]  waits for 1, then both\n"
                              "    2 two [pool]  waits for 1, then both\n    3 both [pool]  waits for 2, then (deliver)\n"));
  EXPECT_THAT(plan, HasSubstr("learn [device]  waits for 2, then loss, teach; after update of the step before\n"));
  EXPECT_THAT(plan, HasSubstr("teach [device]  waits for 2, then loss; after ema of the step before\n"));
  EXPECT_THAT(plan, HasSubstr("folds into update"));
}

TEST(Lower, AnOutputThatNobodyReadsIsReleasedByTheTaskThatMakesIt) {
  const CheckedPipeline pipeline = checked(training);
  const Plan lowered = lower(pipeline);
  const LevelPlan& plan = lowered.streams[0].level[group_level];
  int found = 0;
  for (const Task& task : plan.tasks) {
    if (task.node < 0 || pipeline.nodes[static_cast<size_t>(task.node)].name != "loss") continue;
    const std::vector<PortDoc>& ports = pipeline.nodes[static_cast<size_t>(task.node)].ports;
    for (size_t i = 0; i < ports.size(); ++i) {
      if (ports[i].input) continue;
      const int slot = task.slots[i].index;
      const bool releases = std::find(task.reads.begin(), task.reads.end(), slot) != task.reads.end();
      EXPECT_EQ(releases, ports[i].name == "sum") << ports[i].name;
      EXPECT_EQ(plan.readers[static_cast<size_t>(slot)], 1) << ports[i].name;
      ++found;
    }
  }
  EXPECT_EQ(found, 2);
}

TEST(Lower, OutputsInPlaceShareASlotWithTheirInputWhereItHasOneReader) {
  const auto slots_per_sample = [](const std::string& source_of_second) {
    const CheckedPipeline pipeline = checked(R"({"nodes": {
      "numbers": {"type": "toy.numbers", "n": 4},
      "one": {"type": "toy.noise", "in": "numbers"},
      "two": {"type": "toy.noise", "in": ")" +
                                             source_of_second +
                                             R"("},
      "both": {"type": "toy.join", "in": {"a": "one", "b": "two"}},
      "stack": {"type": "toy.stack", "in": "both", "size": 2},
      "look": {"type": "toy.look", "in": "stack"}}})");
    return lower(pipeline).streams[0].level[sample_level].slots.size();
  };
  EXPECT_EQ(slots_per_sample("numbers"), 4u) << "two readers: no node may change the output of numbers";
  EXPECT_EQ(slots_per_sample("one"), 3u) << "numbers and one share; one has two readers";
}

}  // namespace
}  // namespace flowrun::toy
