// For measuring: slows nodes down. May change while a stream runs.
#pragma once

#include <atomic>

namespace flowrun {

/// Factor on the time of nodes; 1: not slowed. The pool's nodes keep working for the extra time, the device's sleep.
struct Slowdown {
  std::atomic<double> host{1}, device{1};
};

}  // namespace flowrun
