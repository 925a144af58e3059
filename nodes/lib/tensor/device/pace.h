// Limits how far the host may run ahead of the device.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>

#include "nodes/lib/tensor/tensor.h"

namespace c10 {
struct Event;
}

namespace flowrun {

/// Called once a group on the device's thread. The device always has work queued, but never more than a few groups: their
/// memory (mainly batches in page-locked memory) is bounded, and a failure is noticed soon. A waiting thread sleeps: data
/// threads need the cores.
class Pace {
 public:
  explicit Pace(size_t ahead = 3);
  Pace(Pace&&) noexcept;
  Pace& operator=(Pace&&) noexcept;
  ~Pace();
  /// All work of a group is submitted to the current CUDA stream of `device`. Returns when no more than `ahead` groups are
  /// unfinished.
  void submitted(at::Device device);

 private:
  size_t ahead_;
  std::deque<std::unique_ptr<c10::Event>> ends_;  // of groups, on the device
};

}  // namespace flowrun
