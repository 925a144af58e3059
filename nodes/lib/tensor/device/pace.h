// How far the host may run ahead of a device that works on its own.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>

#include "nodes/lib/tensor/tensor.h"

namespace c10 {
struct Event;
}

namespace flowrun {

/// Called once a group on the device's thread. The device always has work ahead of it, but never more than a few groups: what
/// they need (batches in page-locked memory above all) is bounded, and a failure is met soon. While it waits, the
/// thread sleeps: data threads need the cores.
class Pace {
 public:
  explicit Pace(size_t ahead = 3);
  Pace(Pace&&) noexcept;
  Pace& operator=(Pace&&) noexcept;
  ~Pace();
  /// All work of a group is submitted to the current stream of `device`. Returns when no more than `ahead` groups are left to do.
  void submitted(at::Device device);

 private:
  size_t ahead_;
  std::deque<std::unique_ptr<c10::Event>> ends_;  // of groups, on the device
};

}  // namespace flowrun
