#include "graph/contract/deadline.h"

#include <atomic>
#include <gtest/gtest.h>
#include <memory>
#include <stdexcept>
#include <thread>

#include "graph/contract/period.h"

namespace flowrun {
namespace {

using std::chrono::milliseconds;

TEST(Deadline, WorkThatEnds) {
  auto done = std::make_shared<bool>(false);
  EXPECT_TRUE(runs_within(milliseconds(60000), [done] { *done = true; }));
  EXPECT_TRUE(*done);
  EXPECT_THROW(runs_within(milliseconds(60000), [] { throw std::runtime_error("x"); }), std::runtime_error);
  EXPECT_FALSE(threads_left_behind());
}

TEST(Deadline, WorkThatDoesNotEndIsLeftBehind) {
  auto go = std::make_shared<std::atomic<bool>>(false);
  EXPECT_FALSE(runs_within(milliseconds(1), [go] { go->wait(false); }));
  EXPECT_TRUE(threads_left_behind());
  go->store(true);
  go->notify_all();
  while (threads_left_behind()) std::this_thread::yield();
}

TEST(Period, LimitsAndOverflow) {
  EXPECT_TRUE(Period::parse("1000000000000 steps"));
  for (const char* const text :
       {"1000000000001 steps", "4611686018427387904 epochs", "99999999999999999999 epochs", "0 steps", "-1 steps", "1", "1 year"}) {
    EXPECT_FALSE(Period::parse(text)) << text;
  }
  EXPECT_NE(Period::fault("every", "4611686018427387904 epochs").find("at most 1000000000000"), std::string::npos);
  EXPECT_EQ(Period::fault("every", "often").find("at most"), std::string::npos);
  struct Run {
    int64_t steps_per_epoch, epoch_shift = 0;
  };
  const Period never = *Period::parse("1000000000000 epochs");
  for (const int64_t steps : {int64_t{1} << 62, int64_t{1} << 24, INT64_MAX, int64_t{1}}) {
    EXPECT_FALSE(never.due(7, Run{steps})) << steps;
    EXPECT_GT(never.next(7, Run{steps}), 7) << steps;
  }
  EXPECT_TRUE(Period::parse("2 epochs")->due(14, Run{7}));
}

}  // namespace
}  // namespace flowrun
