#include "tools/app/run/memory_watch.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>

#include "tools/app/text.h"

namespace flowrun::app {
namespace {

constexpr double mib = 1 << 20;

/// A multiple of the epoch, if the epoch is shorter.
int64_t steps_between_looks(const RunInfo& run) {
  constexpr int64_t least = 100, most = 1000;
  const int64_t epoch = std::max<int64_t>(1, run.steps_per_epoch);
  return epoch >= most ? most : epoch * ((least + epoch - 1) / epoch);
}

}  // namespace

int64_t own_memory() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("RssAnon:")) return std::atoll(line.c_str() + 8) << 10;
  }
  return 0;
}

bool MemoryWatch::grows(const std::vector<int64_t>& looks) {
  constexpr size_t rises = 8;
  if (looks.size() < rises + 1) return false;
  const auto last = looks.end() - (rises + 1);
  if (std::adjacent_find(last, looks.end(), std::greater_equal<>()) != looks.end()) return false;
  const int64_t first = last[0], middle = last[rises / 2], end = last[rises];
  return end - first >= std::max<int64_t>(64 << 20, first / 20) && 2 * (end - middle) >= middle - first;
}

void MemoryWatch::step(const StepContext& context) {
  const int64_t every = steps_between_looks(context.run);
  if (warned_ || context.step % every != 0) return;
  if (looks_.size() == 9) looks_.erase(looks_.begin());
  looks_.push_back(own_memory());
  if (!grows(looks_)) return;
  warned_ = true;
  log_warning(print("memory grows: %.0f MiB after step %lld, %.0f MiB after step %lld, and more at each look between",
                    static_cast<double>(looks_.front()) / mib, static_cast<long long>(context.step - 8 * every),
                    static_cast<double>(looks_.back()) / mib, static_cast<long long>(context.step)) +
              "\n  to see which node's: flowrun profile " + (run_ / "pipeline.resolved.json").string() + " --leaks" + (plugins_ ? " --trust" : ""));
}

}  // namespace flowrun::app
