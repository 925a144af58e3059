// Work that nodes add to a moment of their run, which another part of the program reaches.
#pragma once

#include <algorithm>
#include <functional>
#include <iterator>
#include <mutex>
#include <utility>
#include <vector>

#include "graph/contract/context.h"

namespace flowrun {

/// While it lives, `work` is done at one moment of that run. Moment: a type that names the moment. Made in open(), on the device's thread.
template <class Moment, class... Args>
class RunHook {
 public:
  using Work = std::function<void(Args...)>;

  RunHook(const RunInfo& run, Work work) : run_(&run), work_(std::move(work)) {
    const std::lock_guard lock(all().mutex);
    all().list.push_back(this);
  }
  ~RunHook() {
    const std::lock_guard lock(all().mutex);
    std::erase(all().list, this);
  }
  RunHook(const RunHook&) = delete;
  RunHook& operator=(const RunHook&) = delete;

  /// The moment has come in that run: does the work of all that live for it, in the order in which they were made.
  static void reach(const RunInfo& run, Args... args) {
    std::vector<const RunHook*> of_run;
    {
      const std::lock_guard lock(all().mutex);
      std::copy_if(all().list.begin(), all().list.end(), std::back_inserter(of_run), [&](const RunHook* one) { return one->run_ == &run; });
    }
    for (const RunHook* const one : of_run) one->work_(args...);
  }

 private:
  /// For all runs of the process.
  struct All {
    std::mutex mutex;
    std::vector<const RunHook*> list;
  };
  static All& all() {
    static All all;
    return all;
  }

  const RunInfo* run_;
  Work work_;
};

}  // namespace flowrun
