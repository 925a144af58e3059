#include "tools/flowrun/speed/leaks.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "graph/error.h"
#include "graph/worker.h"
#include "tools/flowrun/run/memory_watch.h"
#include "tools/flowrun/speed/measure.h"

namespace flowrun::tool {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr const char *hooks_name = "libflowrun_memory.so", *loaded_before = "FLOWRUN_MEMORY_LOADED";
constexpr double mib = 1 << 20;

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

MemoryReading read_memory(size_t nodes) {
  static const auto live = hook<int64_t(int)>("flowrun_memory_live");
  on_node(-2);  // the readings themselves don't count
  MemoryReading out;
  for (size_t n = 0; n < nodes; ++n) out.bytes.push_back(live(static_cast<int>(n)));
  out.bytes.push_back(live(-1));
  out.process = own_memory();
  return out;
}

std::vector<Leak> find_leaks(const std::vector<MemoryReading>& readings) {
  constexpr size_t quarters = 4;
  std::vector<Leak> out;
  if (readings.size() < 4 * quarters) return out;
  for (size_t n = 0; n < readings[0].bytes.size(); ++n) {
    std::vector<double> least;
    for (size_t q = 0; q < quarters; ++q) {
      const auto in_quarter = [&](size_t quarter) { return readings.begin() + static_cast<std::ptrdiff_t>(quarter * readings.size() / quarters); };
      const auto by_bytes = [&](const MemoryReading& a, const MemoryReading& b) { return a.bytes[n] < b.bytes[n]; };
      least.push_back(static_cast<double>(std::min_element(in_quarter(q), in_quarter(q + 1), by_bytes)->bytes[n]));
    }
    const double rise = least.back() - least.front();
    bool steady = rise >= 256 << 10;
    for (size_t q = 1; q < quarters; ++q) steady = steady && least[q] - least[q - 1] >= rise / 6;
    if (steady) out.push_back({n, rise * quarters / (quarters - 1)});
  }
  return out;
}

ordered_json memory_json(const Measurement& measured) {
  const std::vector<MemoryReading>& readings = measured.memory;
  ordered_json out = {{"nodes", ordered_json::array()}, {"leaks", ordered_json::array()}, {"process_growth", 0}};
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

void print_memory(const ordered_json& memory) {
  std::printf("\n%-16s %12s %12s\n", "node", "holds KiB", "more KiB");
  for (const auto& node : memory["nodes"]) {
    std::printf("%-16s %12.0f %+12.0f\n", node["node"].get<std::string>().c_str(), node["bytes"].get<double>() / 1024,
                node["growth"].get<double>() / 1024);
  }
  for (const auto& leak : memory["leaks"]) {
    std::printf("\nleak: %s, %.1f MiB more", leak["node"].get<std::string>().c_str(), leak["growth"].get<double>() / mib);
    if (leak.contains("calls"))
      std::printf(" in %lld calls, %.1f KiB a call", leak["calls"].get<long long>(), leak["bytes_per_call"].get<double>() / 1024);
    std::printf("; the process grew by %.1f MiB\n", memory["process_growth"].get<double>() / mib);
  }
  if (memory["leaks"].empty()) std::printf("\nno node's memory grows\n");
}

}  // namespace flowrun::tool
