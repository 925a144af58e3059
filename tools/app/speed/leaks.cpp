#include "tools/app/speed/leaks.h"

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <unistd.h>
#include <utility>

#include "graph/measure/worker.h"
#include "graph/text/error.h"
#include "tools/app/run/memory_watch.h"
#include "tools/app/speed/measure.h"

namespace flowrun::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr const char *hooks_name = "libflowrun_memory.so", *loaded_before = "FLOWRUN_MEMORY_LOADED";
constexpr size_t quarters = least_readings / 4;

template <class Function>
Function* hook(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

}  // namespace

void require_memory_hooks() {
  if (hook<void(int)>("flowrun_memory_enter") != nullptr) return;
  const fs::path hooks = fs::read_symlink("/proc/self/exe").parent_path() / hooks_name;
  if (!fs::exists(hooks) || std::getenv(loaded_before) != nullptr) {
    throw PipelineError("error: --leaks: " + hooks.string() +
                        (fs::exists(hooks) ? " can't be loaded ahead of the C library" : " is missing: build it"));
  }
  const char* const others = std::getenv("LD_PRELOAD");
  setenv("LD_PRELOAD", (hooks.string() + (others != nullptr && *others != '\0' ? std::string(":") + others : "")).c_str(), 1);
  setenv(loaded_before, "1", 1);
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  execv("/proc/self/exe", pointers.data());
  throw RunError("--leaks: the program can't be started again");
}

void count_memory() { on_node = hook<void(int)>("flowrun_memory_enter"); }

MemoryReading read_memory(size_t nodes, int64_t images) {
  static const auto live = hook<int64_t(int)>("flowrun_memory_live");
  on_node(-2);  // the readings themselves don't count
  MemoryReading out{.images = images};
  for (size_t n = 0; n < nodes; ++n) out.bytes.push_back(live(static_cast<int>(n)));
  out.bytes.push_back(live(-1));
  out.process = own_memory();
  return out;
}

/// Readings are taken by the clock, and a machine may stall: so growth is computed per image, not per reading.
std::vector<Leak> find_leaks(const std::vector<MemoryReading>& readings) {
  std::vector<Leak> out;
  if (readings.size() < least_readings) return out;
  const int64_t first = readings.front().images, images = readings.back().images - first;
  const auto in_quarter = [&](int64_t quarter) {
    const auto before = [&](const MemoryReading& a, int64_t images) { return a.images < images; };
    return std::lower_bound(readings.begin(), readings.end(), first + images * quarter / static_cast<int64_t>(quarters), before);
  };
  for (size_t n = 0; n < readings[0].bytes.size(); ++n) {
    std::vector<std::pair<double, double>> least;  // bytes, and at how many images
    for (int64_t q = 0; q < static_cast<int64_t>(quarters); ++q) {
      const auto by_bytes = [&](const MemoryReading& a, const MemoryReading& b) { return a.bytes[n] < b.bytes[n]; };
      const auto found = std::min_element(in_quarter(q), in_quarter(q + 1), by_bytes);
      if (found == in_quarter(q + 1)) return out;  // not read once in a quarter
      least.emplace_back(static_cast<double>(found->bytes[n]), static_cast<double>(found->images));
    }
    const double rise = least.back().first - least.front().first;
    bool steady = rise >= 256 << 10;
    for (size_t q = 1; q < quarters; ++q) steady = steady && least[q].first - least[q - 1].first >= rise / 6;
    if (steady) out.push_back({n, rise / (least.back().second - least.front().second) * static_cast<double>(images)});
  }
  return out;
}

ordered_json memory_json(const Measurement& measured) {
  const std::vector<MemoryReading>& readings = measured.memory;
  ordered_json out = {{"nodes", ordered_json::array()}, {"leaks", ordered_json::array()}, {"process_growth", 0}, {"readings", readings.size()}};
  if (readings.empty()) return out;
  out["process_growth"] = readings.back().process - readings.front().process;
  const auto name = [&](size_t n) { return n < measured.nodes.size() ? measured.nodes[n].name : std::string("(no node)"); };
  for (size_t n = 0; n < readings[0].bytes.size(); ++n) {
    out["nodes"].push_back(
        {{"node", name(n)}, {"bytes", readings.back().bytes[n]}, {"growth", readings.back().bytes[n] - readings.front().bytes[n]}});
  }
  for (const Leak& leak : find_leaks(readings)) {
    out["leaks"].push_back({{"node", name(leak.node)}, {"growth", leak.growth}});
    if (leak.node < measured.nodes.size()) {
      const double calls = measured.nodes[leak.node].calls;
      out["leaks"].back().update({{"calls", static_cast<int64_t>(calls)}, {"bytes_per_call", leak.growth / std::max(1.0, calls)}});
    }
  }
  return out;
}

}  // namespace flowrun::app
