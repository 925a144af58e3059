#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace flowrun::io {

// Calls CALL(i) for each i below COUNT on THREADS threads. Of several that throw, the lowest i's error is rethrown, so
// it is the same whatever the threads do; after an error no more calls begin.
template <class Call>
void for_each_parallel(size_t count, int threads, Call&& call) {
  std::atomic<size_t> next = 0;
  std::atomic<bool> stop = false;
  std::mutex mutex;
  std::exception_ptr error;
  size_t at = count;
  const auto work = [&] {
    // Taken in order: when one fails, all before it have begun.
    for (size_t i = 0; !stop && (i = next.fetch_add(1)) < count;) {
      try {
        call(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (i < at) at = i, error = std::current_exception();
        stop = true;
      }
    }
  };
  {
    std::vector<std::jthread> team;
    for (size_t i = 1; i < std::min(static_cast<size_t>(std::max(1, threads)), count); ++i) team.emplace_back(work);
    work();
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace flowrun::io
