#include "graph/run/recording_policy.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace flowrun {
namespace {

using Choice = RecordingPolicy::Choice;

/// The decision on the next group of that shape, if every recording is good.
Choice next(RecordingPolicy& policy, const std::string& shape) {
  const RecordingPolicy::Decision decision = policy.next(shape);
  if (decision.choice == Choice::record) policy.recorded(shape);
  return decision.choice;
}

std::vector<Choice> next(RecordingPolicy& policy, const std::string& shape, int times) {
  std::vector<Choice> out;
  for (int i = 0; i < times; ++i) out.push_back(next(policy, shape));
  return out;
}

TEST(Recorder, RecordsAtTheSecondSight) {
  RecordingPolicy policy(8);
  EXPECT_EQ(next(policy, "a", 4), (std::vector{Choice::submit, Choice::record, Choice::play, Choice::play}));
  EXPECT_EQ(next(policy, "b"), Choice::submit) << "each shape is counted separately";
}

TEST(Recorder, OnlyRarerShapesMakeRoom) {
  RecordingPolicy policy(2);
  next(policy, "often", 10), next(policy, "rare", 3);
  EXPECT_EQ(next(policy, "new", 3), (std::vector{Choice::submit, Choice::submit, Choice::submit})) << "as rare as the rarest";
  const RecordingPolicy::Decision decision = policy.next("new");
  EXPECT_EQ(decision.choice, Choice::record);
  EXPECT_EQ(decision.forget, "rare");
  policy.recorded("new");
  EXPECT_EQ(next(policy, "often"), Choice::play);
  EXPECT_EQ(next(policy, "rare"), Choice::submit);
}

TEST(Recorder, WhatWasFrequentLongAgoMakesRoomToo) {
  RecordingPolicy policy(1);
  next(policy, "early", 20'000);
  std::vector<Choice> later = next(policy, "late", 40'000);
  EXPECT_EQ(later.back(), Choice::play);
}

TEST(Recorder, AShapeThatIsRefusedIsSubmitted) {
  RecordingPolicy policy(8);
  policy.next("a"), policy.next("a");
  policy.refused("a");
  EXPECT_EQ(next(policy, "a", 3), (std::vector(3, Choice::submit)));
  EXPECT_EQ(next(policy, "b", 3), (std::vector{Choice::submit, Choice::record, Choice::play}));
}

TEST(Recorder, StopsAfterThreeRefusals) {
  RecordingPolicy policy(8);
  next(policy, "good", 2);
  for (const std::string shape : {"a", "b", "c"}) {
    EXPECT_FALSE(policy.stopped());
    policy.next(shape), policy.next(shape);
    policy.refused(shape);
  }
  EXPECT_TRUE(policy.stopped());
  EXPECT_EQ(next(policy, "d", 3), (std::vector(3, Choice::submit)));
  EXPECT_EQ(next(policy, "good"), Choice::play) << "what is there is played on";
}

TEST(Recorder, ComparesTheFirstThreeAndEachSixteenth) {
  RecordingPolicy policy(100);
  std::vector<int> compared;
  for (int i = 0; i < 40; ++i) {
    const std::string shape = std::to_string(i);
    policy.next(shape), policy.next(shape);
    if (policy.compares()) compared.push_back(i);
    policy.recorded(shape);
  }
  EXPECT_EQ(compared, (std::vector{0, 1, 2, 16, 32}));
}

TEST(Recorder, WithoutRoomNothingIsRecorded) {
  RecordingPolicy policy(0);
  EXPECT_EQ(next(policy, "a", 4), (std::vector(4, Choice::submit)));
}

}  // namespace
}  // namespace flowrun
