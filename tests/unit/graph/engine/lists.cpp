// Inputs that are lists: any number of connections, in the order in which the file has them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/toy_nodes.h"

namespace flowrun::toy {
namespace {

using testing::HasSubstr;

/// Two products of a group, and nodes that add them as `dots` says.
std::string adding(const std::string& dots, const std::string& more = "") {
  return R"({
  "run": { "epochs": 1 },
  "models": { "student": { "type": "toy.weights" }, "other": { "type": "toy.weights" } },
  "nodes": {
    "files":  { "type": "toy.numbers", "n": 48 },
    "batch":  { "type": "toy.stack", "in": "files", "size": 12, "group": 4 },
    "one":    { "type": "toy.scale", "in": "batch", "model": "student" },
    "two":    { "type": "toy.scale", "in": "batch", "model": "other" },
    "total":  { "type": "toy.total", "in": { "dots": )" +
         dots + more + R"( } },
    "totals": { "type": "toy.totals", "in": { "dots": ["total", "two"] } },
    "learn":  { "type": "toy.sum", "in": "total", "model": "student" }
  }
})";
}

TEST(Lists, KeepTheirOrderOnAnyNumberOfThreads) {
  const ToyRun forth = run_toy(adding(R"(["one", "two"])"), serial()), back = run_toy(adding(R"(["two", "one"])"), serial());
  ASSERT_EQ(forth.faults + forth.error, "");
  ASSERT_EQ(back.faults + back.error, "");
  EXPECT_EQ(forth.steps.size(), 4u);
  EXPECT_NE(forth.steps[0].reports, back.steps[0].reports);
  for (const uint64_t jitter : {0, 5, 6}) expect_equal(forth, run_toy(adding(R"(["one", "two"])"), threads(4, jitter)));
}

TEST(Lists, MayHaveOneItemAndAnInputBehindThem) {
  const ToyRun text = run_toy(adding(R"("one")"), serial()), list = run_toy(adding(R"(["one"])"), serial());
  ASSERT_EQ(text.faults + text.error, "");
  expect_equal(text, list);
  const ToyRun behind = run_toy(adding(R"(["one"])", R"(, "last": "two")"), serial());
  ASSERT_EQ(behind.faults + behind.error, "");
  EXPECT_NE(behind.steps[0].reports, list.steps[0].reports);
}

TEST(Lists, AreListsInTheResolvedPipeline) {
  CheckedPipeline pipeline = checked(adding(R"(["one", "two.dot"])"));
  const auto resolved = resolved_json(pipeline);
  EXPECT_EQ(resolved.at("nodes").at("total").at("in").dump(), R"({"dots":["one.dot","two.dot"]})");
  // It is itself a pipeline, and the same one.
  CheckedPipeline again = checked(resolved.dump());
  EXPECT_EQ(resolved_json(again).dump(), resolved.dump());
}

TEST(Lists, AnOptionalOneMayBeLeftOut) {
  std::string text = adding(R"(["one", "two"])");
  const std::string in = R"(, "in": { "dots": ["total", "two"] })";
  text.erase(text.find(in), in.size());
  const ToyRun run = run_toy(text, serial());
  ASSERT_EQ(run.faults + run.error, "");
  EXPECT_EQ(run.steps[0].reports.at("totals"), 0);
}

TEST(Lists, SayWhatIsWrongAtTheItem) {
  EXPECT_THAT(faults_of(adding(R"(["one", "one"])")), HasSubstr("total: one is in the list dots twice"));
  EXPECT_THAT(faults_of(adding(R"(["one", 2])")), HasSubstr("total: an item of dots must be \"node\" or \"node.port\""));
  EXPECT_THAT(faults_of(adding("[]")), HasSubstr("total: not connected: dots (list of Dot)"));
  EXPECT_THAT(faults_of(adding("3")), HasSubstr("total: the source of dots must be \"node\" or \"node.port\", or a list of these"));
  EXPECT_THAT(faults_of(adding(R"(["one", "batch"])")), HasSubstr("total: input dots takes Dot"));
  const std::string unknown = faults_of(adding(R"(["one", "twi"])"));
  EXPECT_THAT(unknown, HasSubstr("total: no node or port \"twi\""));
  EXPECT_THAT(unknown, HasSubstr("^^^^^"));
}

TEST(Lists, OtherInputsTakeNone) {
  EXPECT_THAT(faults_of(adding(R"(["one"])", R"(, "last": ["two"])")), HasSubstr("total: the source of last must be \"node\" or \"node.port\"\n"));
}

}  // namespace
}  // namespace flowrun::toy
