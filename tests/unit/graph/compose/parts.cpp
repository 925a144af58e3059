// Parts of pipelines: what their nodes are called, connected to and keyed by once they stand in a flat pipeline.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "graph/check/entries.h"
#include "support/pipeline_files.h"
#include "support/toy_nodes.h"

namespace flowrun::toy {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Parts : public test::PipelineFiles {
 protected:
  void SetUp() override {
    put("parts/view.json",
        R"({ "about": "a crop", "in": ["image", "bytes"], "out": { "image": "flip" }, "let": { "size": 8, "p": "$size", "area": null },
      "nodes": { "crop": { "type": "C", "in": "in.bytes", "area": "$area" },
                 "view": { "type": "V", "in": { "image": "in.image", "region": "crop.region" }, "size": "$size" },
                 "flip": { "type": "F", "in": "view.*", "p": "p=${p}" } } })");
    put("base.json", R"({ "let": { "wide": 32 }, "parts": { "view": "parts/view.json" },
      "nodes": { "files": { "type": "S" }, "decode": { "type": "D", "in": "files" },
                 "large": { "use": "view", "in": { "image": "decode", "bytes": "files.bytes" }, "size": "$wide", "area": [0.5, 1] },
                 "small": { "use": "view", "in": "decode.*", "area": 1 },
                 "batch": { "type": "B", "in": "large", "after": "large" } } })");
  }
  json nodes(const std::string& name, const std::vector<std::string>& sets = {}) {
    json out = load(name, sets);
    EXPECT_EQ(faults_, "");
    return out["nodes"];
  }
};

TEST_F(Parts, NodesStandUnderFullNames) {
  const json p = load("base.json");
  ASSERT_EQ(faults_, "");
  EXPECT_EQ(p["nodes"], json::parse(R"({
    "files": { "type": "S" }, "decode": { "type": "D", "in": "files" },
    "large/crop": { "type": "C", "in": "large/in.bytes", "area": [0.5, 1] },
    "large/view": { "type": "V", "in": { "image": "large/in.image", "region": "large/crop.region" }, "size": 32 },
    "large/flip": { "type": "F", "in": "large/view.*", "p": "p=32" },
    "small/crop": { "type": "C", "in": "small/in.bytes", "area": 1 },
    "small/view": { "type": "V", "in": { "image": "small/in.image", "region": "small/crop.region" }, "size": 8 },
    "small/flip": { "type": "F", "in": "small/view.*", "p": "p=8" },
    "batch": { "type": "B", "in": "large", "after": ["large/flip"] } })"));
  EXPECT_EQ(p["ports"], json::parse(R"({ "large/in": { "image": "decode", "bytes": "files.bytes" }, "large": { "image": "large/flip" },
                                         "small/in": { "image": "decode.image", "bytes": "decode.bytes" }, "small": { "image": "small/flip" } })"));
  EXPECT_FALSE(p.contains("parts"));
}

TEST_F(Parts, StreamsAreKeyedByTheFullNameUnlessPinned) {
  const json p = nodes("base.json", {"large.streams.crop=old_crop", "large.streams.view=large/view", "small.stream=large"});
  EXPECT_EQ(p["large/crop"]["stream"], "old_crop");
  EXPECT_FALSE(p["large/view"].contains("stream"));
  EXPECT_FALSE(p["large/flip"].contains("stream"));
  EXPECT_EQ(p["small/crop"]["stream"], "large/crop");
  EXPECT_EQ(p["small/flip"]["stream"], "large/flip");
}

TEST_F(Parts, ListsOfConnectionsGetFullNames) {
  put("sums.json", R"({ "parts": { "sum": { "in": ["loss"], "out": "total", "nodes": {
                          "other": { "type": "O", "in": "in.loss" },
                          "total": { "type": "T", "in": { "losses": ["in.loss", "other.loss"] } } } } },
      "nodes": { "loss": { "type": "L" }, "sum": { "use": "sum", "in": "loss" },
                 "all": { "type": "A", "in": { "losses": ["sum", "loss"] }, "after": "sum" } } })");
  const json p = nodes("sums.json");
  EXPECT_EQ(p["sum/total"]["in"], json::parse(R"({ "losses": ["sum/in.loss", "sum/other.loss"] })"));
  EXPECT_EQ(p["all"]["after"], json::parse(R"(["sum/total"])")) << "other is read, so total alone is last";
  put("sums.json", R"({ "parts": { "sum": { "out": "total", "nodes": { "total": { "type": "T", "in": { "losses": ["los"] } } } } },
      "nodes": { "sum": { "use": "sum" } } })");
  load("sums.json");
  EXPECT_THAT(faults_, HasSubstr("total: no node or port \"los\" in the part sum"));
}

TEST_F(Parts, StandWithinParts) {
  put("both.json", R"({ "parts": { "pair": "parts/pair.json" }, "nodes": { "files": { "type": "S" },
    "a": { "use": "pair", "in": "files", "streams": { "two/turn": "second" } }, "b": { "use": "pair", "in": "files", "stream": "a" },
    "end": { "type": "E", "in": { "x": "a.left", "y": "b.right" }, "after": "a" }, "last": { "type": "L", "in": "end", "after": ["b", "end"] } } })");
  put("parts/pair.json", R"({ "in": ["x"], "out": { "left": "one", "right": "two" },
    "parts": { "turn": { "in": ["y"], "out": "turn", "let": { "by": "$$3" }, "nodes": { "turn": { "type": "T", "in": "in", "by": "$by", "stream": "s" } } } },
    "nodes": { "one": { "use": "turn", "in": "in.x", "by": "$$2" }, "two": { "use": "turn", "in": "one", "after": "one", "streams": { "turn": "t" } } } })");
  const json p = load("both.json");
  ASSERT_EQ(faults_, "");
  EXPECT_EQ(p["nodes"]["a/one/turn"], json::parse(R"({ "type": "T", "in": "a/one/in", "by": "$2", "stream": "a/one/s" })"));
  EXPECT_EQ(p["nodes"]["a/two/turn"], json::parse(R"({ "type": "T", "in": "a/two/in", "by": "$3", "stream": "second", "after": ["a/one/turn"] })"));
  EXPECT_EQ(p["nodes"]["b/one/turn"]["stream"], "a/one/s");
  EXPECT_EQ(p["nodes"]["b/two/turn"]["stream"], "a/t");
  EXPECT_EQ(p["nodes"]["end"]["after"], json::parse(R"(["a/two/turn"])"));
  EXPECT_EQ(p["nodes"]["last"]["after"], json::parse(R"(["b/two/turn", "end"])"));
  EXPECT_EQ(p["ports"]["a"], json::parse(R"({ "left": "a/one", "right": "a/two" })"));
  EXPECT_EQ(p["ports"]["a/two"], "a/two/turn");
  EXPECT_EQ(p["ports"]["a/two/in"], json::parse(R"({ "y": "a/one" })"));
}

TEST_F(Parts, AnOrderOfAPartIsThatOfItsFirstNodes) {
  put("child.json", R"({ "extends": "base.json", "set": { "small.after": ["large", "decode"] } })");
  const json p = nodes("child.json");
  EXPECT_EQ(p["small/crop"]["after"], json::parse(R"(["large/flip", "decode"])"));
  EXPECT_FALSE(p["small/view"].contains("after"));
}

TEST_F(Parts, ChangesOfPartsComeBeforeThoseOfTheirNodes) {
  put("child.json", R"({ "extends": "base.json", "drop": ["large/crop"], "swap": { "large/flip": { "type": "G", "wide": "$wide" } },
    "set": { "large/view.size": 5, "large.size": 9, "let.wide": 7, "small/view.new.deep": "$wide" } })");
  const json child = nodes("child.json", {"nodes.small/crop.area=[2]", "small.size=3"});
  EXPECT_FALSE(child.contains("large/crop"));
  EXPECT_EQ(child["large/flip"], json::parse(R"({ "type": "G", "wide": 7, "in": "large/view.*" })"));
  EXPECT_EQ(child["large/view"]["size"], 5);
  EXPECT_EQ(child["small/view"]["new"]["deep"], 7);
  EXPECT_EQ(child["small/view"]["size"], 3);
  EXPECT_EQ(child["small/crop"]["area"], json::parse("[2]"));
  EXPECT_EQ(nodes("child.json", {"large/view.size=6"})["large/view"]["size"], 6);

  put("grandchild.json", R"({ "extends": "child.json", "drop": ["large"], "set": { "small/flip.p": 0 } })");
  const json grandchild = nodes("grandchild.json");
  EXPECT_FALSE(grandchild.contains("large/view")) << "changes of a part's nodes go with the part";
  EXPECT_EQ(grandchild["small/flip"]["p"], 0);
}

TEST_F(Parts, SwapKeepsWhatConnects) {
  put("child.json", R"({ "extends": "base.json", "parts": { "other": { "in": ["image", "bytes"], "out": "crop", "nodes":
      { "crop": { "type": "O", "in": { "a": "in.image", "b": "in.bytes" } } } } },
    "set": { "large.streams.crop": "old", "large.stream": "s" } })");
  put("grandchild.json", R"({ "extends": "child.json", "swap": { "large": { "use": "other" }, "small": { "type": "N" } } })");
  const json p = nodes("grandchild.json");
  EXPECT_EQ(p["large/crop"], json::parse(R"({ "type": "O", "in": { "a": "large/in.image", "b": "large/in.bytes" }, "stream": "old" })"));
  EXPECT_EQ(p["small"], json::parse(R"({ "type": "N", "in": "decode.*" })"));
}

TEST_F(Parts, FilesLieBesideTheFileThatNamesThem) {
  put("parts/inner.json", R"({ "extends": "../base.json", "set": { "large.size": 1 } })");
  put("outer.json", R"({ "extends": "parts/inner.json" })");
  EXPECT_EQ(nodes("outer.json")["large/view"]["size"], 1);
}

TEST_F(Parts, FilesAreSmall) {
  put("parts/view.json", std::string(2 << 20, ' '));
  (void)load("base.json");
  EXPECT_THAT(faults_, HasSubstr("it is larger than 1 MiB, the limit of a part"));
}

TEST_F(Parts, LetGrowsWithinTheBoundOfPipelines) {
  put("grow.json",
      R"({ "parts": { "big": { "let": { "a": [1, 1, 1, 1, 1, 1, 1, 1, 1, 1], "b": ["$a", "$a", "$a", "$a", "$a", "$a", "$a", "$a", "$a", "$a"],
      "c": ["$b", "$b", "$b", "$b", "$b", "$b", "$b", "$b", "$b", "$b"], "d": ["$c", "$c", "$c", "$c", "$c", "$c", "$c", "$c", "$c", "$c"] },
      "nodes": { "n": { "type": "N", "d": "$d" }, "m": { "type": "N", "d": ["$d", "$d", "$d", "$d", "$d", "$d", "$d", "$d", "$d"] } } } },
    "nodes": { "x": { "use": "big" }, "y": { "use": "big" }, "z": { "use": "big" }, "u": { "use": "big" }, "v": { "use": "big" }, "w": { "use": "big" },
               "r": { "use": "big" }, "s": { "use": "big" }, "t": { "use": "big" } } })");
  (void)load("grow.json");
  EXPECT_THAT(faults_, HasSubstr("let stands for more than a million values"));
  EXPECT_THAT(faults_, HasSubstr("1 error; nothing was run"));
}

/// The toy pipeline, whose two branches are uses of one part; streams as they were.
std::string with_parts() {
  std::string text = training;
  const std::string branches = R"("one":     { "type": "toy.noise", "in": "numbers" },
    "two":     { "type": "toy.noise", "in": "numbers" },)";
  const size_t at = text.find(branches);
  EXPECT_NE(at, std::string::npos);
  text.replace(at, branches.size(), R"("one": { "use": "branch", "in": "numbers", "streams": { "noise": "one" } },
    "two": { "use": "branch", "in": "numbers", "streams": { "noise": "two" } },)");
  const std::string both = R"("learn":   { "type": "toy.scale", "in": { "numbers": "stack", "mask": "mask" }, "model": "student" },
    "teach":   { "type": "toy.scale", "in": "stack", "model": "teacher" },
    "loss":    { "type": "toy.add", "in": { "a": "learn", "b": "teach" } },)";
  const size_t device = text.find(both);
  EXPECT_NE(device, std::string::npos);
  text.replace(device, both.size(),
               R"("device": { "use": "two_models", "in": { "numbers": "stack", "mask": "mask" }, "first": "student", "second": "teacher" },)");
  const size_t update = text.find(R"("in": "loss", "model")");
  EXPECT_NE(update, std::string::npos);
  text.replace(update, 12, R"("in": "device")");
  return text.insert(text.find("\"nodes\""), R"("parts": {
    "branch": { "in": ["number"], "out": "noise", "nodes": { "noise": { "type": "toy.noise", "in": "in" } } },
    "two_models": { "in": ["numbers", "mask"], "out": { "sum": "loss" }, "let": { "first": null, "second": null }, "nodes": {
      "learn": { "type": "toy.scale", "in": "in.*", "model": "$first" },
      "teach": { "type": "toy.scale", "in": "in.numbers", "model": "$second" },
      "loss":  { "type": "toy.add", "in": { "a": "learn", "b": "teach" } } } } },
  )");
}

TEST(PartsRun, GiveWhatTheirNodesGive) {
  const ToyRun flat = run_toy(training, serial());
  const ToyRun parts = run_toy(with_parts(), serial());
  ASSERT_EQ(flat.error, "");
  expect_equal(flat, parts);
  expect_equal(flat, run_toy(with_parts(), threads(3, 1)));
}

TEST(PartsRun, TheResolvedFormIsFlatAndRunsTheSame) {
  CheckedPipeline pipeline = checked(with_parts());
  const nlohmann::ordered_json resolved = resolved_json(pipeline);
  EXPECT_FALSE(resolved.contains("parts"));
  EXPECT_FALSE(resolved.contains("ports"));
  EXPECT_EQ(resolved["nodes"]["two/noise"]["stream"], "two");
  EXPECT_EQ(json(resolved["nodes"]["device/learn"]["in"]), (json{{"numbers", "stack.numbers"}, {"mask", "mask.mask"}}));
  EXPECT_EQ(resolved["nodes"]["both"]["in"]["a"], "one/noise.number");
  CheckedPipeline again = checked(resolved.dump());
  EXPECT_EQ(resolved_json(again), resolved);
}

TEST(PartsRun, FaultsNameTheNodeAndWhereItsPartIsUsed) {
  const auto fault = [](const std::string& from, const std::string& to) {
    std::string text = with_parts();
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return faults_of(text.replace(at, from.size(), to));
  };
  EXPECT_THAT(fault("\"first\": \"student\"", "\"first\": \"studnt\""), HasSubstr("device/learn: no model \"studnt\""));
  EXPECT_THAT(fault("\"first\": \"student\"", "\"first\": \"studnt\""), HasSubstr("\n  used here: toy.json:"));
  EXPECT_THAT(fault("\"in\": \"in.numbers\"", "\"in\": \"in.mask\""), HasSubstr("device/teach: input numbers takes Numbers"));
  EXPECT_THAT(fault("\"a\": \"one\"", "\"a\": \"one.x\""), HasSubstr("both: one/noise has no output \"x\""));
  EXPECT_THAT(fault("\"in\": \"device\"", "\"in\": \"device.sums\""), HasSubstr("update: device has no output \"sums\""));
  EXPECT_THAT(fault("\"in\": \"device\"", "\"in\": \"devce\""), HasSubstr("did you mean \"device\"? device provides: sum"));
}

}  // namespace
}  // namespace flowrun::toy
