#include "graph/contract/deadline.h"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "graph/contract/log.h"

namespace flowrun {
namespace {

struct Shared {
  std::mutex mutex;
  std::condition_variable changed;
  bool ended = false;
  std::exception_ptr error;
};

std::atomic<int> at_work{0};

}  // namespace

bool runs_within(std::chrono::milliseconds limit, std::function<void()> work) {
  const auto shared = std::make_shared<Shared>();
  at_work.fetch_add(1);
  std::thread([shared, work = std::move(work), log = thread_log()]() mutable {
    thread_log() = std::move(log);
    std::exception_ptr error;
    try {
      work();
    } catch (...) {
      error = std::current_exception();
    }
    work = nullptr;
    thread_log() = nullptr;
    at_work.fetch_sub(1);
    {
      const std::lock_guard lock(shared->mutex);
      shared->ended = true;
      shared->error = std::move(error);
    }
    shared->changed.notify_all();
  }).detach();
  std::unique_lock lock(shared->mutex);
  if (!shared->changed.wait_for(lock, limit, [&] { return shared->ended; })) return false;
  if (shared->error) std::rethrow_exception(std::exchange(shared->error, nullptr));
  return true;
}

bool threads_left_behind() { return at_work.load() > 0; }

}  // namespace flowrun
