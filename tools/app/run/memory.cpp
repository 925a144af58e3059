#include "tools/app/run/memory.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <optional>
#include <string>

namespace flowrun::app {
namespace {

/// The number in a file, or after a word in it; none if there is no such file, or it says "max".
std::optional<size_t> number_in(const std::string& path, const std::string& behind = "") {
  std::ifstream file(path);
  std::string word;
  while (!behind.empty() && word != behind && file >> word) {
  }
  size_t value = 0;
  if (!(file >> value)) return std::nullopt;
  return value;
}

/// The memory that the Linux control group of this process leaves; cached files don't count. As containers see it, at the
/// root.
size_t left_in_group(const std::string& limit, const std::string& used, const std::string& details, const std::string& files) {
  const auto most = number_in(limit), taken = number_in(used);
  if (!most || !taken) return SIZE_MAX;
  const size_t kept = *taken - std::min(*taken, number_in(details, files).value_or(0));
  return *most - std::min(*most, kept);
}

}  // namespace

size_t available_memory() {
  const auto kib = number_in("/proc/meminfo", "MemAvailable:");
  const std::string root = "/sys/fs/cgroup/", old = root + "memory/memory.";
  return std::min({kib ? *kib * 1024 : SIZE_MAX, left_in_group(root + "memory.max", root + "memory.current", root + "memory.stat", "inactive_file"),
                   left_in_group(old + "limit_in_bytes", old + "usage_in_bytes", old + "stat", "total_inactive_file")});
}

}  // namespace flowrun::app
