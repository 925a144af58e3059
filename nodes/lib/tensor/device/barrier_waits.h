// How OpenMP's threads wait for each other on a busy machine.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace flowrun {

/// CPU time of the cores that this process may use, in seconds since some moment.
struct CpuTimes {
  double busy = 0;  // of all programs, with time that the host of a virtual machine took
  double idle = 0;
  double own = 0;      // of this process, included in busy
  double delayed = 0;  // threads of this process were ready and had no core
};

/// The sums over `cores` of the lines of /proc/stat; `tick`: ticks a second.
CpuTimes parse_proc_stat(const std::string& text, const std::vector<int>& cores, double tick);
/// Whether other programs took cores that this process wanted, between two readings.
bool crowded(const CpuTimes& before, const CpuTimes& now);

/// LibTorch's operations end at barriers, where the threads of GNU's OpenMP library spin for milliseconds before they sleep.
/// That is the fastest way as long as each has a core. Where other programs want the cores, a spinning thread holds the core
/// that the thread it waits for needs. The library spins a thousand rounds only while there are more OpenMP threads than cores:
/// so while the machine is crowded, this keeps sleeping OpenMP threads, which change that count and nothing else. Results don't
/// depend on it. It logs once that the machine is crowded. It does nothing if the user has set OMP_WAIT_POLICY or GOMP_SPINCOUNT, or where
/// there is no /proc/stat; with another OpenMP library it logs what to set. Any thread.
class BarrierWaits {
 public:
  BarrierWaits();
  ~BarrierWaits();
  BarrierWaits(const BarrierWaits&) = delete;
  BarrierWaits& operator=(const BarrierWaits&) = delete;

 private:
  void watch();

  std::mutex mutex_;
  std::condition_variable wakes_;
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace flowrun
