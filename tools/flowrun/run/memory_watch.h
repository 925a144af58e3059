// Whether a run's memory grows without end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "graph/contract/context.h"

namespace flowrun::tool {

/// Anonymous memory of this process that is in RAM (RssAnon), bytes. Files that are mapped don't count.
int64_t own_memory();

/// Looks at a run's memory now and then and warns, once, when it grows without end.
///
/// It looks at the end of each epoch, but every 100 to 1000 steps. The memory grows when each of eight looks found more
/// than the one before, the later four at least half as much more as the four before; 64 MiB and 5 % together.
class MemoryWatch {
 public:
  MemoryWatch(std::filesystem::path run, bool plugins) : run_(std::move(run)), plugins_(plugins) {}
  /// After a step; device's thread.
  void step(const StepContext& context);
  static bool grows(const std::vector<int64_t>& looks);

 private:
  std::filesystem::path run_;
  bool plugins_;
  std::vector<int64_t> looks_;  // the last
  bool warned_ = false;
};

}  // namespace flowrun::tool
