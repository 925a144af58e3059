// For measuring: nodes that take longer than they need. May change while a stream runs.
#pragma once

#include <atomic>

namespace flowrun {

/// How many times as long nodes take; 1: as long as they need. The pool's nodes work on, the device's sleep.
struct Slowdown {
  std::atomic<double> host{1}, device{1};
};

}  // namespace flowrun
