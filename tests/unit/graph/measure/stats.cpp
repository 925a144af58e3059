#include "graph/measure/stats.h"

#include <ctime>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <thread>

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

/// Two calls of some microseconds for each sample: CPU time is read of a part of them, and stands for all.
TEST(Stats, CpuTimeOfSomeSamplesStandsForAll) {
  const auto cpu_now = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  };
  volatile uint64_t number = 1;
  const auto work = [&](int rounds) {
    for (int i = 0; i < rounds; ++i) number = number * 6364136223846793005u + 1;
  };
  for (const CpuReadings readings : {CpuReadings::all, CpuReadings::some}) {
    Stats stats(2, 1);
    Worker worker(stats, 0, readings);
    const double began = cpu_now();
    worker.begin();
    for (int64_t sample = 0; sample < 20000; ++sample) {
      worker.enter(0, 0, sample, 0);
      work(1000);
      worker.end(0);
      worker.enter(1, 0, sample, 0);
      work(3000);
      worker.end(1);
    }
    const double all = cpu_now() - began, first = stats.summary(0).cpu, second = stats.summary(1).cpu;
    EXPECT_NEAR((first + second) / all, 1, 0.3);
    EXPECT_NEAR(second / (first + second), 0.75, 0.1);
  }
}

}  // namespace
}  // namespace flowrun
