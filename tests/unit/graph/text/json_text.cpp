#include "graph/text/json_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace flowrun {
namespace {

using nlohmann::ordered_json;

TEST(JsonText, ComesBackAsItWas) {
  const ordered_json value = {{"b", 1}, {"a", {1.5, nullptr, "ä"}}};
  EXPECT_EQ(json_text(value), R"({"b":1,"a":[1.5,null,"ä"]})");
  EXPECT_EQ(json_of(json_text(value)), value);
  EXPECT_EQ(json_text(nlohmann::json(value)), R"({"a":[1.5,null,"ä"],"b":1})");
  EXPECT_EQ(json_text(ordered_json{{"b", 1}}, 2), "{\n  \"b\": 1\n}");
}

TEST(JsonText, BytesThatAreNotUtf8AreReplaced) { EXPECT_EQ(json_text(ordered_json("a\xff.jpg")), "\"a\xef\xbf\xbd.jpg\""); }

TEST(JsonText, OtherTextIsDiscarded) {
  EXPECT_TRUE(json_of("{\"a\":").is_discarded());
  EXPECT_TRUE(json_of("").is_discarded());
}

}  // namespace
}  // namespace flowrun
