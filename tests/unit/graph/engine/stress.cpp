// Many short runs of random shape, under a watchdog: whatever the numbers of threads, groups, slots and slow nodes, a
// run ends, and equals the serial one.
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mutex>
#include <thread>

#include "support/toy_nodes.h"

namespace flowrun::toy {
namespace {

/// Ends the program, naming what hangs, when it lives too long: a deadlock can't be unwound.
class Watchdog {
 public:
  Watchdog(std::string what, std::chrono::seconds limit)
      : thread_([this, what = std::move(what), limit] {
          std::unique_lock lock(mutex_);
          if (over_.wait_for(lock, limit, [this] { return done_; })) return;
          std::fprintf(stderr, "a run hangs: %s\n", what.c_str());
          std::abort();
        }) {}
  ~Watchdog() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    over_.notify_one();
    thread_.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable over_;
  bool done_ = false;
  std::thread thread_;
};

struct Shape {
  std::string text;
  std::vector<std::string> sets;
  EngineOptions options;
  int64_t stop_at = 0;
};

Shape random_shape(uint64_t number) {
  Rng rng(2024, 1, 0, number);
  Shape out;
  out.text = training;
  const auto replace = [&](const std::string& from, const std::string& to) { out.text.replace(out.text.find(from), from.size(), to); };
  if (rng.chance(0.5)) replace("\"toy.noise\"", "\"toy.slow\", \"microseconds\": 60");
  if (rng.chance(0.3)) replace("\"toy.noise\"", "\"toy.fail\", \"chance\": 0.05");
  const uint32_t group = 1 + rng.below(5), groups = 1 + rng.below(5);
  out.sets = {"nodes.stack.size=" + std::to_string(group * groups),
              "nodes.stack.group=" + std::to_string(group),
              "nodes.numbers.n=" + std::to_string(group * groups + rng.below(40)),
              "run.epochs=" + std::to_string(1 + rng.below(3)),
              "nodes.stack.claim_mib=10",
              "run.memory_mib=" + std::to_string(11 + rng.below(40)),
              "run.max_bad=" + std::to_string(rng.below(20)),
              "seed=" + std::to_string(number)};
  if (rng.chance(0.1)) out.sets.push_back("nodes.mask.fail_step=" + std::to_string(1 + rng.below(4)));
  if (rng.chance(0.1)) out.sets.push_back("nodes.learn.fail_step=" + std::to_string(1 + rng.below(4)));
  if (rng.chance(0.1)) out.sets.push_back("nodes.record.fail_step=" + std::to_string(1 + rng.below(4)));
  if (rng.chance(0.2)) out.stop_at = 1 + rng.below(6);
  out.options = threads(static_cast<int>(1 + rng.below(8)), rng.chance(0.5) ? number + 1 : 0);
  if (groups % 2 == 0 && rng.chance(0.3)) {
    out.options.world = 2;
    out.options.rank = static_cast<int>(rng.below(2));
  }
  return out;
}

TEST(Stress, RandomShapesEndAndEqualTheSerialRun) {
  for (uint64_t number = 0; number < 200; ++number) {
    const Shape shape = random_shape(number);
    const std::string what = "shape " + std::to_string(number) + ", " + std::to_string(shape.options.threads) + " threads, " + join(shape.sets);
    SCOPED_TRACE(what);
    const Watchdog watchdog(what, std::chrono::seconds(60));
    std::atomic<bool> stop{false};
    const auto run = [&](EngineOptions options) {
      stop = false;
      options.stop = &stop;
      options.on_step = [&](const StepContext& context) { stop = context.step == shape.stop_at; };
      return run_toy(shape.text, options, shape.sets);
    };
    EngineOptions oracle = serial();
    oracle.rank = shape.options.rank;
    oracle.world = shape.options.world;
    const ToyRun expected = run(oracle);
    ASSERT_EQ(expected.faults, "");
    expect_equal(expected, run(shape.options));
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace flowrun::toy
