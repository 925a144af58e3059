#include "graph/measure/stats.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "graph/measure/worker.h"

namespace flowrun {
namespace {

TEST(Stats, ShardsAddUp) {
  Stats stats(2, 3);
  for (int worker = 0; worker < 3; ++worker) {
    for (int i = 0; i < 10; ++i) stats.worker(worker)[1].ran(1000);
    NodeShard::add(stats.worker(worker)[1].failures, 1);
  }
  const Stats::Summary summary = stats.summary(1);
  EXPECT_EQ(summary.count, 30u);
  EXPECT_EQ(summary.failures, 3u);
  EXPECT_EQ(stats.summary(0).count, 0u);
  EXPECT_EQ(stats.summary(0).p95, 0);
  const auto json = stats.json({"a", "b"}, {"sample", "step"});
  EXPECT_EQ(json["b"]["count"], 30);
  EXPECT_EQ(json.begin().key(), "a");
}

TEST(Stats, PercentilesAreWithinABucket) {
  Stats stats(1, 1);
  for (int i = 0; i < 90; ++i) stats.worker(0)[0].ran(1000);
  for (int i = 0; i < 10; ++i) stats.worker(0)[0].ran(1000000);
  const Stats::Summary summary = stats.summary(0);
  // Ratios: the length of a tick is measured anew at each reading.
  EXPECT_NEAR(summary.p95 / summary.p50, 1000, 250);
  EXPECT_NEAR(summary.busy / summary.p50, (90 * 1000 + 10 * 1000000) / 1000.0, 2600);
}

TEST(Stats, TakesAnyTime) {
  Stats stats(1, 1);
  for (const uint64_t elapsed : {uint64_t{0}, uint64_t{1}, uint64_t{3}, uint64_t{4}, uint64_t{1} << 40, UINT64_MAX >> 1})
    stats.worker(0)[0].ran(elapsed);
  EXPECT_EQ(stats.summary(0).count, 6u);
}

/// CPU time as the test turns it: a machine with other work charges a thread for more than its own.
uint64_t turned_nanoseconds = 0;

/// Two calls for each sample, every second sample ten times as long: CPU time is read of a part of them, and stands for all.
TEST(Stats, CpuTimeOfSomeSamplesStandsForAll) {
  for (const CpuReadings readings : {CpuReadings::all, CpuReadings::some}) {
    Stats stats(2, 1);
    Worker worker(stats, 0, readings, [] { return turned_nanoseconds; });
    const uint64_t began = turned_nanoseconds;
    worker.begin();
    for (int64_t sample = 0; sample < 100000; ++sample) {
      const uint64_t length = sample % 2 == 0 ? 1000 : 10000;
      worker.enter(0, 0, sample, 0);
      turned_nanoseconds += length;
      worker.end(0);
      worker.enter(1, 0, sample, 0);
      turned_nanoseconds += 3 * length;
      worker.end(1);
    }
    const double all = static_cast<double>(turned_nanoseconds - began) * 1e-9;
    const double first = stats.summary(0).cpu, second = stats.summary(1).cpu;
    EXPECT_NEAR((first + second) / all, 1, readings == CpuReadings::all ? 1e-9 : 0.1);
    EXPECT_NEAR(second / (first + second), 0.75, 1e-9);
  }
}

/// A node is charged for the CPU time of its thread, and for no more than has passed.
TEST(Stats, CpuTimeIsTheThreadsOwn) {
  Stats stats(1, 1);
  Worker worker(stats, 0, CpuReadings::all);
  const uint64_t began = thread_cpu_nanoseconds();
  worker.begin();
  worker.enter(0, 0, 0, 0);
  volatile uint64_t number = 1;
  for (int i = 0; i < 1000000; ++i) number = number * 6364136223846793005u + 1;
  worker.end(0);
  EXPECT_GT(stats.summary(0).cpu, 0);
  EXPECT_LE(stats.summary(0).cpu, static_cast<double>(thread_cpu_nanoseconds() - began) * 1e-9);
}

}  // namespace
}  // namespace flowrun
