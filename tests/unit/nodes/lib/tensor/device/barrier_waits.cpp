#include "nodes/lib/tensor/device/barrier_waits.h"

#include <gtest/gtest.h>

namespace flowrun {
namespace {

TEST(BarrierWaits, ReadsTheTimesOfTheCoresThatMayBeUsed) {
  const std::string text =
      "cpu  900 0 100 5000 50 0 0 20 0 0\n"
      "cpu0 100 1 20 700 10 2 3 4 0 0\n"
      "cpu1 9999 0 0 0 0 0 0 0 0 0\n"
      "cpu2 50 0 0 100 0 0 0 0 0 0\n"
      "intr 1 2 3\n";
  const CpuTimes times = parse_proc_stat(text, {0, 2}, 100);
  EXPECT_DOUBLE_EQ(times.busy, 1.80) << "user, nice, system, both interrupts, and what the host took";
  EXPECT_DOUBLE_EQ(times.idle, 8.10) << "idle, and waiting for storage";
  EXPECT_EQ(parse_proc_stat("", {0}, 100).busy, 0);
}

/// Two cores for a second.
bool second(double busy, double own, double delayed) { return crowded({}, {.busy = busy, .idle = 2 - busy, .own = own, .delayed = delayed}); }

TEST(BarrierWaits, OfACrowdedMachine) {
  EXPECT_FALSE(second(2, 2, 0.5)) << "alone, with more threads than cores";
  EXPECT_FALSE(second(1.9, 1.85, 0)) << "others hardly work";
  EXPECT_TRUE(second(2, 1, 1)) << "others take half, and threads wait for cores";
  EXPECT_FALSE(second(1.5, 1, 0.5)) << "cores are idle";
  EXPECT_FALSE(second(2, 1, 0)) << "others work on cores that nobody here wants: another rank of the run";
  EXPECT_FALSE(crowded({}, {})) << "no time has passed";
}

}  // namespace
}  // namespace flowrun
