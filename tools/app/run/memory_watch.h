// Watches whether a run's memory grows without end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "graph/contract/context.h"

namespace flowrun::app {

/// Anonymous memory of this process that is in RAM (RssAnon), bytes. Files that are mapped don't count.
int64_t own_memory();

/// Reads a run's memory from time to time and warns, once, when it grows without end.
///
/// It reads at the end of each epoch, but at least 100 and at most 1000 steps apart. The memory grows when each of
/// eight readings is larger than the one before, the later four grew at least half as much as the earlier four, and all
/// together by 64 MiB and 5 %.
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

}  // namespace flowrun::app
