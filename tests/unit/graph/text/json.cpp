#include "graph/text/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace flowrun {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Parsed {
  Value value;
  Diagnostics faults;
  std::string text;
};

Parsed parse(const std::string& text) {
  Parsed out;
  out.text = text;
  out.value = parse_json(std::make_shared<Source>(Source{"f.json", text}), out.faults);
  return out;
}

void expect_places(const Value& value, const std::string& text) {
  const std::string at = text.substr(value.where.offset, value.where.length);
  if (value.is(Value::Kind::object))
    EXPECT_EQ(at, "{");
  else if (value.is(Value::Kind::array))
    EXPECT_EQ(at, "[");
  else
    EXPECT_EQ(nlohmann::json::parse(at), nlohmann::json(to_json(value))) << at;
  for (const Value& item : value.items) expect_places(item, text);
  for (const Member& member : value.members) {
    EXPECT_EQ(nlohmann::json::parse(text.substr(member.key_where.offset, member.key_where.length)), member.key);
    expect_places(member.value, text);
  }
}

TEST(Json, EveryValueKnowsItsPlace) {
  for (const char* text : {R"({"a": [1, -2.5e3, true, false, null, ""], "b\"c": {"d" : "e\\\"f"}, "ü": "ü"})", "17", " 17 ", "17\n", "[1,2]",
                           "[ 1 , 2 ]", "\"x\"", "null", "-0.5", "[[[]]]", "{}", "\t{\"a\"\n:\r\n0}"}) {
    const Parsed parsed = parse(text);
    EXPECT_TRUE(parsed.faults.empty()) << text << parsed.faults.render();
    expect_places(parsed.value, text);
    EXPECT_EQ(nlohmann::json(to_json(parsed.value)), nlohmann::json::parse(text));
  }
}

TEST(Json, FaultsPointAtTheirPlace) {
  EXPECT_THAT(parse("{\n  \"a\": 1,\n  \"a\": 2\n}").faults.render(),
              StartsWith("f.json:3:3: error: duplicate key \"a\"\n  \"a\": 2\n  ^^^\n1 error"));
  EXPECT_THAT(parse("{\"a\": tru}").faults.render(), HasSubstr("f.json:1:10: error: not valid JSON: "));
  EXPECT_THAT(parse("[9223372036854775808]").faults.render(), StartsWith("f.json:1:2: error: the number does not fit in 64 bits"));
  EXPECT_THAT(parse("[1e999]").faults.render(), StartsWith("f.json:1:2: error: the number is too large\n[1e999]\n ^^^^^\n"));
  for (const char* text : {"", "{", "[1,]", "{\"a\":}", "\"", "\"\\", "{\"a\" 1}", "[1] 2", "\xff", "//"})
    EXPECT_FALSE(parse(text).faults.empty()) << text;
}

TEST(Json, DepthIsBounded) {
  EXPECT_TRUE(parse(std::string(64, '[') + std::string(64, ']')).faults.empty());
  EXPECT_THAT(parse(std::string(65, '[') + std::string(65, ']')).faults.render(), HasSubstr("f.json:1:65: error: nested deeper than 64 levels"));
  EXPECT_FALSE(parse(std::string(1000000, '[')).faults.empty());
}

TEST(Json, FileThatIsNotThere) {
  Diagnostics faults;
  (void)parse_json_file("/nowhere/f.json", {}, faults);
  EXPECT_EQ(faults.render(), "error: /nowhere/f.json: No such file or directory\n1 error; nothing was run");
  Diagnostics directory;
  (void)parse_json_file("/", {}, directory);
  EXPECT_EQ(directory.render(), "error: /: Is a directory\n1 error; nothing was run");
}

}  // namespace
}  // namespace flowrun
