#include "graph/measure/worker.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <thread>
#include <utility>

namespace flowrun {

uint64_t thread_cpu_nanoseconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

Worker::Worker(Stats& stats, int index, CpuReadings cpu_readings, uint64_t (*cpu_nanoseconds)())
    : stats(stats.worker(index)),
      activity(stats.activity(index)),
      trace(stats.track(index)),
      seconds_per_tick(stats.seconds_per_tick()),
      cpu_readings(cpu_readings),
      cpu_nanoseconds(cpu_nanoseconds),
      reads_cpu_(cpu_readings == CpuReadings::all),
      random_(static_cast<uint64_t>(index)) {}

void Worker::begin() {
  if (!keeps_statistics) return;
  clock_ = ticks();
  if (reads_cpu_) cpu_clock_ = cpu_nanoseconds();
}

/// Work that takes 0.3 ms is always drawn, work of some microseconds one time in sixteen. By chance, not in turns: every second sample could be a
/// larger one.
void Worker::draw(int level, int64_t index) {
  if (level == drawn_level_ && index == drawn_index_) return;
  drawn_level_ = level, drawn_index_ = index;
  if (drawn_clock_ == 0) drawn_clock_ = clock_;
  usual_ticks_ += (static_cast<double>(clock_ - drawn_clock_) - usual_ticks_) / 16;
  drawn_clock_ = clock_;
  stands_for_ = static_cast<uint64_t>(std::clamp(300e-6 / std::max(1e-9, usual_ticks_ * seconds_per_tick), 1.0, 16.0));
  random_ = random_ * 6364136223846793005u + 1442695040888963407u;
  reads_cpu_ = (random_ >> 32) % stands_for_ == 0;
  if (reads_cpu_) cpu_clock_ = cpu_nanoseconds();
}

void Worker::enter(int node, int level, int64_t index, uint64_t sample) {
  if (cpu_readings == CpuReadings::some) draw(level, index);
  if (keeps_statistics && activity != nullptr) activity->set(node, level, index, sample, clock_);
  if (on_node != nullptr) on_node(node);
}

uint64_t Worker::passed(int node) {
  const uint64_t began = std::exchange(clock_, ticks());
  if (reads_cpu_) {
    const uint64_t cpu_began = std::exchange(cpu_clock_, cpu_nanoseconds());
    NodeShard::add(stats[node].cpu, (cpu_clock_ - cpu_began) * stands_for_);
  }
  if (trace != nullptr) trace->add(*activity, node, began, clock_);
  return clock_ - began;
}

void Worker::spin(double factor) const {
  if (factor <= 1) return;
  if (cpu_readings != CpuReadings::all) return;  // a probe, which is not part of the measurement: its clock doesn't run
  // In the thread's CPU time: time lost to other threads must not be multiplied.
  const auto until = cpu_clock_ + static_cast<uint64_t>(static_cast<double>(cpu_nanoseconds() - cpu_clock_) * factor);
  while (cpu_nanoseconds() < until) {
  }
}

void Worker::sleep(double factor) const {
  if (factor <= 1) return;
  const auto more = static_cast<double>(ticks() - clock_) * (factor - 1) * seconds_per_tick;
  std::this_thread::sleep_for(std::chrono::duration<double>(more));
}

void Worker::idle() {
  if (activity != nullptr) activity->node.store(-1, std::memory_order_relaxed);
  if (on_node != nullptr) on_node(-1);
}

}  // namespace flowrun
