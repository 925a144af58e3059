#include "tools/app/sweep/answer.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "tools/app/sweep/table.h"
#include "tools/app/sweep/words.h"

namespace flowrun::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Three variants whose accuracies after 8 steps are given by seed; negative: not done.
class Answers : public testing::Test {
 protected:
  Answer answer(const std::vector<std::vector<double>>& accuracies) {
    found_.clear(), plan_.runs.clear(), plan_.variants.clear(), plan_.seeds.clear();
    for (size_t s = 0; s < accuracies[0].size(); ++s) {
      plan_.seeds.push_back(static_cast<int64_t>(s));
      for (size_t v = 0; v < accuracies.size(); ++v) {
        const std::string name(1, static_cast<char>('a' + v));
        if (s == 0) plan_.variants.push_back(name);
        plan_.runs.push_back({.name = name, .pipeline = {}, .variant = name, .seed = plan_.seeds.back()});
        found_.push_back(run(accuracies[v][s], 0.25 * static_cast<double>(v + 1)));
      }
    }
    return answer_of(plan_, found_);
  }
  static Found run(double accuracy, double seconds_per_step) {
    Found out;
    if (accuracy < 0) return out;
    out.status = "done";
    out.metrics = {{"loss", 1 - accuracy}, {"knn.accuracy", accuracy}, {"knn.k", 5}};
    out.curves["knn"] = {{0, 0.1}, {8, accuracy}};
    out.steps = 8;
    out.seconds_per_step = seconds_per_step;
    return out;
  }

  SweepPlan plan_{.path = "",
                  .name = "",
                  .runs = {},
                  .variants = {},
                  .seeds = {},
                  .changed = {},
                  .baseline = "a",
                  .decide = "knn.accuracy",
                  .chosen = true,
                  .higher_better = {}};
  std::vector<Found> found_;
};

TEST_F(Answers, ADifferenceThatAllSeedsShareIsTold) {
  const Answer found = answer({{0.912, 0.874, 0.931, 0.853, 0.902}, {0.921, 0.893, 0.94, 0.859, 0.928}});
  ASSERT_EQ(found.comparisons.size(), 1);
  EXPECT_TRUE(found.same_start);
  EXPECT_THAT(found.metrics, ElementsAre("knn.accuracy", "loss"));
  EXPECT_THAT(
      sentences(plan_, found),
      ElementsAre("b is better than a by 1.4 ± 1.0 points of knn.accuracy (5 seeds, p = 0.021).",
                  "The same seed gives the same initial weights, order of data and crops wherever the pipelines agree, so runs are compared seed by "
                  "seed: pairing makes the interval 4.4 times narrower.",
                  "Recommendation: take b."));
  EXPECT_THAT(table_of_variants(found), HasSubstr("| a | 5 | 89.4 ± 3.1 (85.3 to 93.1) |"));
}

TEST_F(Answers, ALossIsBetterWhenItIsLower) {
  plan_.decide = "loss";
  const Answer found = answer({{0.912, 0.874, 0.931, 0.853, 0.902}, {0.921, 0.893, 0.94, 0.859, 0.928}});
  EXPECT_THAT(sentences(plan_, found), testing::Contains("b is better than a by 0.014 ± 0.010 of the loss (5 seeds, p = 0.021)."));
  plan_.higher_better = true;
  EXPECT_THAT(sentences(plan_, answer_of(plan_, found_)), testing::Contains(testing::StartsWith("b is worse than a by 0.014")));
}

TEST_F(Answers, WhatCanNotBeToldSaysHowManySeedsItTakes) {
  const std::vector<std::vector<double>> values = {{0.90, 0.91, 0.92}, {0.91, 0.90, 0.94}};
  std::vector<std::string> words = sentences(plan_, answer(values));
  EXPECT_THAT(
      words[0],
      HasSubstr("No difference between b and a can be told with 3 seeds: the interval is -3.1 to +4.5 points of knn.accuracy (p = 0.53); if the "
                "true difference is the 0.7 seen here, about 44 seeds are needed to tell it (power 0.8)."));
  EXPECT_EQ(words.back(), "Recommendation: keep a; no variant is shown to be better.");
  plan_.difference = 0.01;
  words = sentences(plan_, answer(values));
  EXPECT_THAT(words[0], HasSubstr("to see a difference of 1.0, about 21 seeds are needed"));
  plan_.difference = 0.05;
  words = sentences(plan_, answer(values));
  EXPECT_EQ(words[0], "b and a differ by less than 5.0 points of knn.accuracy: the interval is -3.1 to +4.5 (3 seeds).");
}

TEST_F(Answers, SeveralComparisonsAreCorrected) {
  const Answer found = answer({{0.912, 0.874, 0.931, 0.853, 0.902}, {0.921, 0.893, 0.94, 0.859, 0.928}, {0.90, 0.88, 0.93, 0.86, 0.90}});
  EXPECT_NEAR(found.comparisons[0].p, 2 * 0.02139300412258522, 1e-12);
  EXPECT_NEAR(found.comparisons[1].p, found.comparisons[1].test->p, 1e-15);
  EXPECT_THAT(sentences(plan_, found)[0], HasSubstr("p = 0.043 after Holm's correction for 2 comparisons"));
}

TEST_F(Answers, EqualTimeEndsWithTheFastestVariant) {
  const Answer found = answer({{0.9, 0.9}, {0.5, 0.7}});
  EXPECT_EQ(found.equal_seconds, 2);  // 8 steps of a quarter of a second
  EXPECT_THAT(found.variants[0].equal_time, ElementsAre(0.9, 0.9));
  EXPECT_THAT(found.variants[1].equal_time, ElementsAre(testing::DoubleEq(0.3), testing::DoubleEq(0.4)));  // after 4 of 8 steps
}

TEST_F(Answers, OnlySeedsThatBothHaveAreCompared) {
  Answer found = answer({{0.9, -1, 0.8}, {0.5, 0.7, -1}, {-1, 0.7, -1}});
  EXPECT_THAT(found.comparisons[0].seeds, ElementsAre(0));
  EXPECT_FALSE(found.comparisons[0].test);
  EXPECT_THAT(sentences(plan_, found),
              ElementsAre("One seed in common with a, so that no test is possible; differences in points of knn.accuracy: b -40.0.",
                          "No seed in common with a that is done: c."));
  found = answer({{-1, -1}, {0.5, 0.7}});
  EXPECT_THAT(sentences(plan_, found), ElementsAre("The baseline a has no run that is done: --baseline VARIANT compares with another."));
}

TEST_F(Answers, OneSeedAllowsNoTest) {
  EXPECT_THAT(sentences(plan_, answer({{0.9}, {0.5}})), ElementsAre(HasSubstr("no test is possible. --seeds 3")));
}

TEST_F(Answers, AMetricThatNoRunHasIsNamed) {
  plan_.chosen = false, plan_.decide = "knn.acuracy";
  EXPECT_THAT(sentences(plan_, answer({{0.9, 0.8}, {0.5, 0.6}})),
              ElementsAre("No run that is done has knn.acuracy, so that nothing is compared: did you mean \"knn.accuracy\"? they have knn.accuracy, "
                          "loss, of which --decide names one."));
  plan_.chosen = true;  // no other metric takes its place after the runs
  EXPECT_EQ(answer_of(plan_, found_).metric, "");
  EXPECT_TRUE(answer_of(plan_, found_).comparisons.empty());
}

TEST_F(Answers, DifferencesThatDoNotVaryAreNotTested) {
  const Answer found = answer({{0.5, 0.25, 0.75}, {0.75, 0.5, 1}, {0.5, 0.25, 0.75}, {0.6, 0.25, 0.8}});
  ASSERT_EQ(found.comparisons.size(), 3);
  EXPECT_FALSE(found.comparisons[0].test);
  EXPECT_FALSE(found.comparisons[1].test);
  EXPECT_EQ(found.comparisons[2].p, found.comparisons[2].test->p);  // of one test
  const std::vector<std::string> words = sentences(plan_, found);
  EXPECT_THAT(words, testing::Contains("b differs from a by the same +25.0 points of knn.accuracy with all 3 seeds: differences that do not vary "
                                       "allow no test."));
  EXPECT_THAT(words, testing::Contains("c and a have equal knn.accuracy with all 3 seeds."));
  EXPECT_THAT(words, testing::Each(testing::Not(HasSubstr("p < 0.001"))));
  EXPECT_THAT(words.back(), HasSubstr("keep a"));
  const auto json = answer_json(found)["comparisons"][0];
  EXPECT_EQ(json["difference"], 0.25);
  EXPECT_EQ(json["deviation"], 0);
  EXPECT_FALSE(json.contains("p"));
}

TEST_F(Answers, RunsThatLackTheMetricAreNamed) {
  answer({{0.9, 0.8}, {0.5, 0.6}, {0.7, 0.9}});
  found_[1].metrics = found_[4].metrics = {{"loss", 2}};  // b
  EXPECT_THAT(sentences(plan_, answer_of(plan_, found_)),
              testing::Contains("No seed in common with a that has knn.accuracy: b. --decide METRIC compares by another number."));
  found_[0].metrics = found_[3].metrics = {{"loss", 2}};  // a
  EXPECT_THAT(sentences(plan_, answer_of(plan_, found_)),
              ElementsAre("No run of the baseline a has knn.accuracy: --baseline VARIANT compares with another, --decide METRIC by another number."));
}

TEST_F(Answers, ValuesKeepTheirSeeds) {
  answer({{0.5, 0.7, 0.9}, {0.5, 0.7, 0.9}});
  found_[0].metrics = {{"loss", 2}}, found_[0].curves.clear();  // seed 0 of a
  found_[2].curves["knn"][0].second = found_[3].curves["knn"][0].second = 0.2;
  found_[4].curves["knn"][0].second = found_[5].curves["knn"][0].second = 0.3;
  const Answer found = answer_of(plan_, found_);
  EXPECT_TRUE(found.same_start);
  EXPECT_THAT(found.variants[0].starts.at("knn.accuracy").seeds, ElementsAre(1, 2));
  EXPECT_THAT(table_of_variants(found), HasSubstr("| at the start |  | 20.0 ± 10.0 |"));  // of 0.1, 0.2, 0.3
  const auto json = answer_json(found)["variants"];
  EXPECT_EQ(json[0]["metrics"]["knn.accuracy"]["seeds"], (std::vector<int>{1, 2}));
  EXPECT_FALSE(json[1]["metrics"]["knn.accuracy"].contains("seeds"));
}

TEST_F(Answers, OnlySettingsAreLeftOutOfTheTable) {
  answer({{0.9, 0.8}, {0.5, 0.6}});
  for (Found& found : found_) found.metrics.emplace_back("pixels.accuracy", 0.25);
  found_[0].metrics.emplace_back("knn.best_k", 7);
  EXPECT_THAT(answer_of(plan_, found_).metrics, ElementsAre("knn.accuracy", "pixels.accuracy", "knn.best_k", "loss"));
}

}  // namespace
}  // namespace flowrun::app
