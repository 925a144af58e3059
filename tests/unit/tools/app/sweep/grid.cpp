#include "tools/app/sweep/grid.h"

#include <gmock/gmock.h>

namespace flowrun::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Value parsed(const std::string& text) {
  Diagnostics faults;
  Value out = parse_json(std::make_shared<Source>(Source{.name = "s.json", .text = text}), faults);
  EXPECT_TRUE(faults.empty()) << faults.render();
  return out;
}

std::vector<std::string> names(const std::vector<Point>& points) {
  std::vector<std::string> out;
  for (const Point& point : points) out.push_back(point.name);
  return out;
}

std::vector<std::string> values(const std::string& axis) {
  Diagnostics faults;
  std::vector<std::string> out;
  for (const Point& point : grid_points(parsed(R"({"mask.ratio": )" + axis + "}"), faults)) out.push_back(point.sets[0].substr(11));
  EXPECT_TRUE(faults.empty()) << faults.render();
  return out;
}

std::string fault(std::vector<Point> (*read)(const Value&, Diagnostics&), const std::string& text) {
  Diagnostics faults;
  read(parsed(text), faults);
  return faults.render();
}

TEST(Grid, HasEveryCombinationTheLastFastest) {
  Diagnostics faults;
  const std::vector<Point> points = grid_points(parsed(R"({"mask.ratio": [0.25, 0.5], "let.blocks": {"last": [6], "two": [3, 6]}})"), faults);
  ASSERT_TRUE(faults.empty());
  EXPECT_THAT(names(points), ElementsAre("ratio-0.25_last", "ratio-0.25_two", "ratio-0.5_last", "ratio-0.5_two"));
  EXPECT_THAT(points[1].sets, ElementsAre("mask.ratio=0.25", "let.blocks=[3,6]"));
}

TEST(Grid, NamesAreFoldersAndTellPathsApart) {
  Diagnostics faults;
  const std::vector<Point> points = grid_points(parsed(R"({"student.lr": ["a b/c"], "head.lr": [-1]})"), faults);
  EXPECT_THAT(names(points), ElementsAre("student.lr-a-b-c_head.lr--1"));
  EXPECT_EQ(folder_name("[1, 2]"), "1-2");
  EXPECT_EQ(folder_name("../up"), "-up");
  EXPECT_TRUE(is_folder_name(names(points)[0]));
}

TEST(Grid, RangesEndWhereTheySay) {
  EXPECT_THAT(values(R"({"from": 0.1, "to": 0.9, "count": 5})"), ElementsAre("0.1", "0.3", "0.5", "0.7", "0.9"));
  EXPECT_THAT(values(R"({"from": 1e-4, "to": 1, "count": 5, "scale": "log"})"), ElementsAre("0.0001", "0.001", "0.01", "0.1", "1.0"));
  EXPECT_THAT(values(R"({"from": 1, "to": 5, "count": 3})"), ElementsAre("1", "3", "5"));
  EXPECT_THAT(values(R"({"from": 1, "to": 2, "count": 3})"), ElementsAre("1", "1.5", "2"));
  EXPECT_THAT(values(R"({"from": 2, "to": 9, "step": 3})"), ElementsAre("2", "5", "8"));
  EXPECT_THAT(values(R"({"from": 0.3, "to": 0.1, "step": -0.1})"), ElementsAre("0.3", "0.2", "0.1"));
}

TEST(Grid, FaultsOfRangesNameTheFix) {
  const auto of = [](const std::string& range) { return fault(grid_points, R"({"a.b": )" + range + "}"); };
  EXPECT_THAT(of(R"({"from": 1, "to": 2})"), HasSubstr("either count or step\n"));
  EXPECT_THAT(of(R"({"from": 0, "to": 2, "count": 3, "scale": "log"})"), HasSubstr("between numbers above 0"));
  EXPECT_THAT(of(R"({"from": 1, "to": 2, "count": 1})"), HasSubstr("an integer from 2 to 10000"));
  EXPECT_THAT(of(R"({"from": 1, "to": 2, "step": -1})"), HasSubstr("no steps of -1 lead from 1 to 2"));
  EXPECT_THAT(of(R"({"from": 1, "to": 2, "cuont": 3})"), HasSubstr("did you mean \"count\"?"));
  EXPECT_THAT(of(R"({"from": "1", "to": 2, "count": 3})"), HasSubstr("from of a range must be a number"));
  EXPECT_THAT(of("3"), HasSubstr("a.b needs values"));
  EXPECT_THAT(of("[]"), HasSubstr("a.b needs values"));
  EXPECT_THAT(of(R"({"a/b": 1})"), HasSubstr("the name \"a/b\" of a value"));
  EXPECT_THAT(fault(grid_points, R"({"a": {"from": 1, "to": 200, "step": 1}, "b": {"from": 1, "to": 200, "step": 1}})"),
              HasSubstr("more than 10000 points"));
}

TEST(Zip, GoesThroughListsTogether) {
  Diagnostics faults;
  const std::vector<Point> points = zip_points(parsed(R"({"student.width": [32, 64], "student.heads": [2, 4]})"), faults);
  EXPECT_THAT(names(points), ElementsAre("width-32_heads-2", "width-64_heads-4"));
  EXPECT_THAT(points[1].sets, ElementsAre("student.width=64", "student.heads=4"));
  EXPECT_THAT(names(zip_points(parsed(R"({"w": {"small": 1, "large": 2}, "h": [3, 4]})"), faults)), ElementsAre("small", "large"));
  EXPECT_THAT(fault(zip_points, R"({"w": [1, 2], "h": [1, 2, 3]})"), HasSubstr("w has 2 and h has 3"));
}

}  // namespace
}  // namespace flowrun::app
