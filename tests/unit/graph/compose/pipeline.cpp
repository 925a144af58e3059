#include "graph/compose/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/pipeline_files.h"

namespace flowrun {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Files : public test::PipelineFiles {
 protected:
  void SetUp() override {
    put("base.json", R"({ "seed": 1, "run": { "epochs": 2 }, "let": { "size": 8, "text": "v${size}", "both": "$text" },
      "models": { "m": { "type": "M", "arch": "s" } },
      "nodes": { "a": { "type": "A", "size": "$size", "name": "x-${both}-$$" },
                 "b": { "type": "B", "in": "a", "after": "a", "deep": { "list": [1, 2] } } } })");
  }
};

TEST_F(Files, LetIsPutIn) {
  const json p = load("base.json");
  EXPECT_EQ(faults_, "");
  EXPECT_EQ(p["nodes"]["a"], json::parse(R"({"type": "A", "size": 8, "name": "x-v8-$"})"));
  EXPECT_FALSE(p.contains("let"));
  EXPECT_EQ(load("base.json", {"let.size=9"})["nodes"]["a"]["name"], "x-v9-$");
}

TEST_F(Files, ChangesApplyInOrder) {
  put("child.json", R"({ "extends": "base.json", "about": "child",
    "swap": { "b": { "type": "C", "x": 1 } }, "set": { "a.size": 3, "run.epochs": 5, "seed": 4, "m.arch": "b" }, "add": { "c": { "type": "D" } } })");
  put("grandchild.json", R"({ "extends": "child.json", "drop": ["c"], "set": { "b.x": 2 } })");
  const json child = load("child.json");
  EXPECT_EQ(faults_, "");
  EXPECT_EQ(child["nodes"]["b"], json::parse(R"({"type": "C", "x": 1, "in": "a", "after": "a"})")) << "swap keeps in and after, and nothing else";
  EXPECT_EQ(child["nodes"]["a"]["size"], 3);
  EXPECT_EQ(child["run"]["epochs"], 5);
  EXPECT_EQ(child["seed"], 4);
  EXPECT_EQ(child["models"]["m"]["arch"], "b");
  const json grandchild = load("grandchild.json", {"b.x=7"});
  EXPECT_EQ(faults_, "");
  EXPECT_FALSE(grandchild["nodes"].contains("c"));
  EXPECT_EQ(grandchild["nodes"]["b"]["x"], 7);
}

TEST_F(Files, SetTakesJsonOrText) {
  const json p = load("base.json", {"a.size=[1, 2]", "a.name=data/train", "b.deep.list.1=9", "nodes.b.new.deep=true", "models.m.arch=\"l\""});
  EXPECT_EQ(faults_, "");
  EXPECT_EQ(p["nodes"]["a"]["size"], json::parse("[1, 2]"));
  EXPECT_EQ(p["nodes"]["a"]["name"], "data/train");
  EXPECT_EQ(p["nodes"]["b"]["deep"]["list"], json::parse("[1, 9]"));
  EXPECT_EQ(p["nodes"]["b"]["new"]["deep"], true);
  EXPECT_EQ(p["models"]["m"]["arch"], "l");
}

TEST_F(Files, FaultsOfChanges) {
  const auto fault = [&](const std::string& set) {
    (void)load("base.json", {set});
    return faults_;
  };
  EXPECT_THAT(fault("aa.size=1"), HasSubstr("--set:1:1: error: no node or model \"aa\"\naa.size=1\n^^^^^^^\n  did you mean \"a\"? "));
  EXPECT_THAT(fault("a=1"), HasSubstr("can't set \"a\" as a whole"));
  EXPECT_THAT(fault("a.type=B"), HasSubstr("use \"swap\""));
  EXPECT_THAT(fault("let.siez=1"), HasSubstr("no let \"siez\""));
  EXPECT_THAT(fault("b.deep.list.2=9"), HasSubstr("the list has no element 2"));
  EXPECT_THAT(fault("a.size.x=1"), HasSubstr("size is a string"));
  EXPECT_THAT(fault("nonsense"), HasSubstr("--set takes path=value"));
}

TEST_F(Files, FaultsOfFiles) {
  const auto fault = [&](const std::string& text) {
    put("child.json", text);
    (void)load("child.json");
    return faults_;
  };
  EXPECT_THAT(fault(R"({ "extends": "base.json", "seed": 3 })"), HasSubstr("\"set\": { \"seed\": 1 }"));
  EXPECT_THAT(fault(R"({ "nods": {} })"), HasSubstr("did you mean \"nodes\"?"));
  EXPECT_THAT(fault(R"({ "extends": "child.json" })"), HasSubstr("extends itself"));
  EXPECT_THAT(fault(R"({ "extends": "gone.json" })"), HasSubstr("child.json:1:14: error: "));
  EXPECT_THAT(fault(R"({ "extends": "base.json", "add": { "a": {} } })"), HasSubstr("there is a \"a\" already"));
  EXPECT_THAT(fault(R"({ "extends": "base.json", "drop": ["z"] })"), HasSubstr("no node or model \"z\""));
  EXPECT_THAT(fault(R"({ "extends": "base.json", "drop": "a" })"), HasSubstr("drop must be a list"));
  EXPECT_THAT(fault(R"({ "nodes": [] })"), HasSubstr("nodes must be an object, not a list"));
  EXPECT_THAT(fault(R"([])"), HasSubstr("a pipeline is a JSON object, not a list"));
  EXPECT_THAT(fault(R"({ "nodes": { "a": { "x": "$none" } } })"), HasSubstr("no let \"none\""));
}

// Each level names the next twice: without care the number of faults doubles with it.
TEST_F(Files, LetThatRefersToItselfIsOneFault) {
  put("self.json", R"({ "let": { "a": "${b}${b}", "b": "${a}${a}" }, "nodes": { "n": { "x": "$a" } } })");
  (void)load("self.json");
  EXPECT_THAT(faults_, HasSubstr("refers to itself"));
  EXPECT_THAT(faults_, HasSubstr("1 error; nothing was run"));
}

}  // namespace
}  // namespace flowrun
