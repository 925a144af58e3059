#include "nodes/lib/tensor/device/pace.h"

#include <gtest/gtest.h>

#include "support/fake_device.h"

namespace flowrun {
namespace {

using test::diary, test::fake_device;
using Lines = std::vector<std::string>;

TEST(Pace, LetsTheHostBeSoManyGroupsAhead) {
  diary() = {};
  Pace pace(2);
  pace.submitted(fake_device());
  pace.submitted(fake_device());
  EXPECT_EQ(diary().lines, (Lines{"main records 1", "main records 2"}));
  diary().busy = 3;
  pace.submitted(fake_device());
  EXPECT_EQ(diary().busy, 0) << "it asks until the first group is over";
  EXPECT_EQ(diary().lines, (Lines{"main records 1", "main records 2", "main records 3", "host sees the end of 1"}));
  pace.submitted(fake_device());
  EXPECT_EQ(diary().lines.back(), "host sees the end of 2");
}

TEST(Pace, IsNothingOnTheCpu) {
  diary() = {};
  Pace pace(0);
  pace.submitted(at::kCPU);
  EXPECT_TRUE(diary().lines.empty());
}

}  // namespace
}  // namespace flowrun
