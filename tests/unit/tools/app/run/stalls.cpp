#include "tools/app/run/stalls.h"

#include <gtest/gtest.h>

namespace flowrun::app {
namespace {

TEST(Stalls, AreReportedOnceEach) {
  Stalls stalls(5);
  EXPECT_FALSE(stalls.due(14.9, 10)) << "not long enough";
  EXPECT_TRUE(stalls.due(15, 10));
  EXPECT_FALSE(stalls.due(100, 10)) << "the same standstill";
  EXPECT_FALSE(stalls.due(102, 101)) << "it moved";
  EXPECT_TRUE(stalls.due(107, 101)) << "another one";
}

TEST(Stalls, AreNotReportedAtZero) { EXPECT_FALSE(Stalls(0).due(1e9, 0)); }

}  // namespace
}  // namespace flowrun::app
