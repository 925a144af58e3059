#include "graph/contract/params.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "graph/text/json.h"

namespace flowrun {
namespace {

/// A number, or a way from one number to another.
struct Slope {
  std::optional<double> plain = 0.5;
  double from = 0.5, to = 1;
  void describe(auto& param) {
    param("from", from, Range{0, 1}, "At the first step.");
    param("to", to, Range{0, 1}, "At the last step.");
  }
};

struct Params {
  Slope slope;
  std::vector<double> chances = {0.5}, points;
  void describe(auto& param) {
    param("slope", slope, Range{0, 1}, "How steep it is.");
    param.one_or_more("chances", chances, Range{0, 1}, "One, or one for each.");
    param.pairs("points", points, Range{0, 1}, "Places.");
  }
};

struct Outcome {
  Params params;
  std::string faults, written;
};

Outcome read(const std::string& text) {
  Outcome out;
  Diagnostics faults;
  ParamSetOf<Params> set(out.params);
  read_params(set, parse_json(std::make_shared<Source>(Source{"p.json", text}), faults), {}, "node", "toy.slope", faults);
  out.faults = faults.render();
  out.written = write_params(set).dump();
  return out;
}

TEST(NumberOrObject, IsEither) {
  EXPECT_EQ(read("{}").written, R"({"slope":0.5,"chances":0.5,"points":[]})");
  EXPECT_EQ(read(R"({"slope": 0.25})").written, R"({"slope":0.25,"chances":0.5,"points":[]})");
  const Outcome object = read(R"({"slope": {"from": 0.25, "to": 0.75}})");
  EXPECT_EQ(object.written, R"({"slope":{"from":0.25,"to":0.75},"chances":0.5,"points":[]})");
  EXPECT_FALSE(object.params.slope.plain);
  EXPECT_EQ(read(R"({"slope": {"to": 0.75}})").written, R"({"slope":{"from":0.5,"to":0.75},"chances":0.5,"points":[]})");
}

TEST(NumberOrObject, FaultsNameBoth) {
  EXPECT_NE(read(R"({"slope": "steep"})").faults.find("node: slope must be a number or an object, not a string"), std::string::npos);
  EXPECT_NE(read(R"({"slope": 2})").faults.find("node: slope must be between 0 and 1, not 2"), std::string::npos);
  EXPECT_NE(read(R"({"slope": {"to": 2}})").faults.find("node: slope.to must be between 0 and 1, not 2"), std::string::npos);
  EXPECT_NE(read(R"({"slope": {"form": 0}})").faults.find("unknown parameter \"slope.form\""), std::string::npos);
}

TEST(NumberOrObject, IsDocumentedAsBoth) {
  Params params;
  ParamSetOf<Params> set(params);
  const std::vector<ParamDoc> docs = document_params(set);
  ASSERT_EQ(docs.size(), 3u);
  EXPECT_EQ(docs[0].kind, "number or object");
  EXPECT_EQ(docs[0].initial, "0.5");
  EXPECT_EQ(docs[0].members.size(), 2u);
}

TEST(NumberOrList, IsEither) {
  EXPECT_EQ(read(R"({"chances": 0.25})").written, R"({"slope":0.5,"chances":0.25,"points":[]})");
  EXPECT_EQ(read(R"({"chances": [0.25]})").written, R"({"slope":0.5,"chances":0.25,"points":[]})") << "the same thing has one form";
  EXPECT_EQ(read(R"({"chances": [0.25, 1]})").written, R"({"slope":0.5,"chances":[0.25,1.0],"points":[]})");
  for (const char* const wrong : {R"({"chances": []})", R"({"chances": "often"})"}) {
    EXPECT_NE(read(wrong).faults.find("node: chances must be a number, or a list of numbers, not "), std::string::npos);
  }
  EXPECT_NE(read(R"({"chances": [0.5, 2]})").faults.find("node: chances must be between 0 and 1, not 2"), std::string::npos);
  Params params;
  ParamSetOf<Params> set(params);
  EXPECT_EQ(document_params(set)[1].kind, "number or list");
  EXPECT_EQ(document_params(set)[1].initial, "0.5");
}

TEST(Pairs, AreListsOfTwo) {
  const Outcome two = read(R"({"points": [[0, 0], [0.25, 1]]})");
  EXPECT_EQ(two.faults, "0 errors; nothing was run");
  EXPECT_EQ(two.written, R"({"slope":0.5,"chances":0.5,"points":[[0.0,0.0],[0.25,1.0]]})");
  EXPECT_EQ(two.params.points, (std::vector<double>{0, 0, 0.25, 1}));
  for (const char* const wrong : {R"({"points": 1})", R"({"points": [0.5, 0.5]})"}) {
    EXPECT_NE(read(wrong).faults.find("node: points must be a list of pairs of numbers, not "), std::string::npos);
  }
  EXPECT_NE(read(R"({"points": [[0, 0], [1]]})").faults.find("node: points holds pairs of numbers, not lists of 1"), std::string::npos);
  EXPECT_NE(read(R"({"points": [[0, 2]]})").faults.find("node: points must be between 0 and 1, not 2"), std::string::npos);
  EXPECT_NE(read(R"({"points": [[0, "x"]]})").faults.find("node: points must be a number, not a string"), std::string::npos);
  Params params;
  ParamSetOf<Params> set(params);
  EXPECT_EQ(document_params(set)[2].kind, "list of pairs");
  EXPECT_EQ(document_params(set)[2].initial, "[]");
}

}  // namespace
}  // namespace flowrun
