#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace flowrun::io {

// Calls CALL(i) for each i below COUNT on THREADS threads. If several throw, the error of the lowest i is rethrown, so
// it does not depend on the threads; after an error no more calls begin.
template <class Call>
void for_each_parallel(size_t count, int threads, Call&& call) {
  std::atomic<size_t> next = 0;
  std::atomic<bool> stop = false;
  std::mutex mutex;
  std::exception_ptr error;
  size_t at = count;
  const auto work = [&] {
    // Started in order: when one fails, all before it have begun.
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

// Makes items in parallel and hands them on in their order, on THREADS threads:
//   take(i, item)  in order, one at a time
//   make(i, item)  any thread, several at once
//   put(i, item)   in order, one at a time
// for i from BEGIN to END. Items are reused, and no more exist than are in work. Of several errors the lowest i's is
// rethrown, after all items below it were put.
template <class Item, class Take, class Make, class Put>
void for_each_in_order(size_t begin, size_t end, int threads, Take&& take, Make&& make, Put&& put) {
  const size_t team_size = static_cast<size_t>(std::max(1, threads)), room = 3 * team_size;
  std::vector<Item> items(room);
  std::vector<char> ready(room, 0);
  std::mutex taking, mutex;
  std::condition_variable freed;
  size_t next = begin, next_put = begin, failed_at = end;
  bool putting = false, stop = false;
  std::exception_ptr error;
  const auto fail = [&](size_t i) {
    const std::lock_guard lock(mutex);
    if (!error || i < failed_at) failed_at = i, error = std::current_exception();
    stop = true;
    freed.notify_all();
  };
  const auto take_next = [&](size_t& i) {
    const std::lock_guard in_order(taking);
    {
      std::unique_lock lock(mutex);
      freed.wait(lock, [&] { return stop || next == end || next < next_put + room; });
      if (stop || next == end) return false;
      i = next++;
    }
    try {
      take(i, items[i % room]);
    } catch (...) {
      fail(i);
      return false;
    }
    return true;
  };
  // The thread that finishes the next item puts it and the waiting items after it.
  const auto put_ready = [&](size_t i) {
    std::unique_lock lock(mutex);
    ready[i % room] = 1;
    if (putting) return;
    putting = true;
    while (ready[next_put % room]) {
      const size_t at = next_put;
      lock.unlock();
      put(at, items[at % room]);
      lock.lock();
      ready[at % room] = 0, ++next_put;
      freed.notify_all();
    }
    putting = false;
  };
  const auto work = [&] {
    for (size_t i = begin; take_next(i);) {
      try {
        make(i, items[i % room]);
      } catch (...) {
        fail(i);
        return;
      }
      try {
        put_ready(i);
      } catch (...) {
        fail(0);  // a failed write stops everything
        return;
      }
    }
  };
  {
    std::vector<std::jthread> team;
    for (size_t i = 1; i < team_size; ++i) team.emplace_back(work);
    work();
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace flowrun::io
