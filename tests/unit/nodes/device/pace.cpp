#include "nodes/device/pace.h"

#include <gtest/gtest.h>

#include "support/fake_device.h"

namespace flowrun {
namespace {

using test::diary, test::fake_device;
using Lines = std::vector<std::string>;

TEST(Pace, LetsTheHostBeSoManyStepsAhead) {
  diary() = {};
  Pace pace(2);
  pace.step(fake_device());
  pace.step(fake_device());
  EXPECT_EQ(diary().lines, (Lines{"main records 1", "main records 2"}));
  diary().busy = 3;
  pace.step(fake_device());
  EXPECT_EQ(diary().busy, 0) << "it asks until the first step is over";
  EXPECT_EQ(diary().lines, (Lines{"main records 1", "main records 2", "main records 3", "host sees the end of 1"}));
  pace.step(fake_device());
  EXPECT_EQ(diary().lines.back(), "host sees the end of 2");
}

TEST(Pace, IsNothingOnTheCpu) {
  diary() = {};
  Pace pace(0);
  pace.step(at::kCPU);
  EXPECT_TRUE(diary().lines.empty());
}

}  // namespace
}  // namespace flowrun
