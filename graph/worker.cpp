#include "graph/worker.h"

#include <ctime>
#include <utility>

namespace flowrun {
namespace {

uint64_t thread_cpu_nanoseconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

}  // namespace

Worker::Worker(Stats& stats, int index, bool counts_cpu)
    : stats(stats.worker(index)), activity(stats.activity(index)), trace(stats.track(index)), counts_cpu(counts_cpu) {}

void Worker::begin() {
  clock_ = ticks();
  if (counts_cpu) cpu_clock_ = thread_cpu_nanoseconds();
}

void Worker::enter(int node, int level, int64_t index, uint64_t sample) {
  if (activity != nullptr) activity->set(node, level, index, sample, clock_);
}

uint64_t Worker::passed(int node) {
  const uint64_t began = std::exchange(clock_, ticks());
  if (counts_cpu) {
    const uint64_t cpu_began = std::exchange(cpu_clock_, thread_cpu_nanoseconds());
    NodeShard::add(stats[node].cpu, cpu_clock_ - cpu_began);
  }
  if (trace != nullptr) trace->add(*activity, node, began, clock_);
  return clock_ - began;
}

void Worker::idle() {
  if (activity != nullptr) activity->node.store(-1, std::memory_order_relaxed);
}

}  // namespace flowrun
