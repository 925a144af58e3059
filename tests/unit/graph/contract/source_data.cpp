#include "graph/contract/source_data.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "graph/contract/context.h"
#include "graph/contract/period.h"

namespace flowrun {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

SourceData named(std::vector<std::string> classes, const char* place = "here") { return {.place = place, .classes = std::move(classes)}; }
SourceData numbered(std::vector<std::string> classes, const char* place = "there") {
  SourceData out = named(std::move(classes), place);
  out.numbers = true;
  return out;
}
std::string fault(const SourceData& from, const SourceData& table) {
  try {
    match_classes(from, table);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(SourceData, HashKnowsNamesSizesAndOrder) {
  const auto of = [](std::vector<std::pair<std::string, uint64_t>> files) {
    SourceData data;
    for (const auto& [name, size] : files) data.add(name, size);
    return data.json().dump();
  };
  const std::string all = of({{"a", 1}, {"b", 2}});
  EXPECT_EQ(all, of({{"a", 1}, {"b", 2}}));
  EXPECT_NE(all, of({{"b", 2}, {"a", 1}}));
  EXPECT_NE(all, of({{"a", 2}, {"b", 1}}));
  EXPECT_NE(all, of({{"ab", 3}}));
  EXPECT_THAT(all, HasSubstr(R"("count":2,"bytes":3)"));
}

TEST(MatchClasses, ByName) {
  const ClassMatch match = match_classes(named({"bee", "cow"}), named({"ant", "bee", "cow"}));
  EXPECT_THAT(match.labels, ElementsAre(1, 2));
  EXPECT_EQ(match.remark, "");
  EXPECT_THAT(match_classes(numbered({"48000000"}), numbered({"7", "48000000"})).labels, ElementsAre(1));
}

TEST(MatchClasses, OneTooManyIsNamed) {
  EXPECT_EQ(fault(named({"ant", "dog"}, "val"), named({"ant", "bee"}, "train")),
            "the class dog of val is not among the classes of train, which are ant, bee");
  EXPECT_THAT(fault(named({"x", "y"}), named({"ant"})), HasSubstr("the classes x, y of here are not among"));
}

TEST(MatchClasses, NumbersAreCountedOffAgainstNamesAndSaid) {
  const ClassMatch match = match_classes(numbered({"0", "1"}), named({"ant", "bee", "cow"}));
  EXPECT_THAT(match.labels, ElementsAre(0, 1));
  EXPECT_THAT(match.remark, HasSubstr("numbers"));
  // A name that lacks would shift all behind it.
  EXPECT_THAT(fault(named({"bee", "cow"}), numbered({"0", "1", "2"})), HasSubstr("labels of one side are numbers"));
  EXPECT_THAT(fault(numbered({"0", "1", "2"}), named({"bee", "cow"})), HasSubstr("labels of one side are numbers"));
  EXPECT_EQ(match_classes(named({"1"}), numbered({"0", "1"})).labels[0], 1) << "folders called by numbers are names, too";
}

TEST(Period, OfEpochsFollowsAChangeOfData) {
  RunInfo run;
  run.steps_per_epoch = 4;
  const Period epoch{1, true}, steps{3, false};
  EXPECT_TRUE(epoch.due(4, run));
  EXPECT_EQ(epoch.next(4, run), 8);
  run.epoch_shift = 1;  // step 5 stands where step 6 would
  EXPECT_FALSE(epoch.due(4, run));
  EXPECT_TRUE(epoch.due(7, run));
  EXPECT_EQ(epoch.next(5, run), 7);
  EXPECT_EQ(epoch.next(7, run), 11);
  EXPECT_TRUE(steps.due(6, run));
  EXPECT_EQ(steps.next(6, run), 9);
}

TEST(Period, LongerThanAnyRunIsNeverDue) {
  RunInfo run;
  run.steps_per_epoch = 4;
  const Period forever{int64_t{1} << 62, true};
  EXPECT_FALSE(forever.due(4, run));
  EXPECT_EQ(forever.next(4, run), INT64_MAX);
  EXPECT_EQ((Period{INT64_MAX, false}.next(4, run)), INT64_MAX);
}

TEST(RunInfo, SchedulesNeverGoBack) {
  RunInfo run;
  run.total_steps = 100, run.epoch_shift = -5, run.schedule_floor = 40;
  EXPECT_EQ(run.schedule_step(30), 40);
  EXPECT_EQ(run.schedule_step(44), 40);
  EXPECT_EQ(run.schedule_step(46), 41);
}

}  // namespace
}  // namespace flowrun
