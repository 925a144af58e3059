// profile: tables of where a pipeline's time goes, or that of its input side alone.
#include "tools/app/speed/profile.h"

#include <cmath>
#include <cstdio>
#include <iostream>

#include "graph/text/json_text.h"
#include "tools/app/speed/leaks.h"
#include "tools/flowrun/cli/commands.h"
#include "tools/flowrun/cli/program.h"

namespace flowrun::cli {
namespace {

using nlohmann::ordered_json;

constexpr double mib = 1 << 20;

void print_input(const std::string& file, const ordered_json& result) {
  const auto number = [&](const char* name) { return result[name].get<double>(); };
  std::printf("input side of %s: %lld images in %.1f s on %d thread%s\n", file.c_str(), result["images"].get<long long>(), number("seconds"),
              result["threads"].get<int>(), result["threads"] == 1 ? "" : "s");
  std::printf("%.0f images/s, %.0f for each thread; peak memory %.0f MiB\n\n", number("images_per_second"), number("images_per_second_per_thread"),
              number("peak_mib"));
  std::printf("%-16s %-24s %12s %8s %10s %10s\n", "node", "type", "ms per image", "share", "p50 ms", "p95 ms");
  for (const auto& node : result["nodes"]) {
    std::printf("%-16s %-24s %12.3f %6.1f %% %10.3f %10.3f\n", node["node"].get<std::string>().c_str(), node["type"].get<std::string>().c_str(),
                node["ms_per_image"].get<double>(), 100 * node["share"].get<double>(), node["p50_ms"].get<double>(), node["p95_ms"].get<double>());
  }
  if (result["bound_by"] == "storage") {
    std::printf("\nbound by the storage: %.0f %% of the threads' time is spent waiting for files; more threads, shards or faster storage help\n",
                100 * number("waiting_share"));
  } else {
    std::printf("\nbound by the CPU, which was busy %.0f %% of the threads' time; most of it in %s\n", 100 * number("cpu_share"),
                result["slowest"].get<std::string>().c_str());
  }
  if (number("delayed_share") > 0.1) {
    std::printf("other programs had the cores for %.0f %% of the time: the numbers would be higher without them\n", 100 * number("delayed_share"));
  }
}

void print_whole(const std::string& file, const ordered_json& result) {
  const auto number = [&](const char* name) { return result[name].get<double>(); };
  std::printf("%s: %lld steps of %lld images in %.1f s; %s, %d data thread%s on %.0f cores\n\n", file.c_str(), result["steps"].get<long long>(),
              result["batch"].get<long long>(), number("seconds"), result["device"].get<std::string>().c_str(), result["threads"].get<int>(),
              result["threads"] == 1 ? "" : "s", number("cores"));
  std::printf("%-16s %-7s %9s %7s %27s %9s %9s %6s %10s\n", "", "", "", "", "waits for (% of the time)", "", "", "", "images/s");
  std::printf("%-16s %-7s %9s %7s %9s %8s %8s %9s %9s %6s %10s\n", "node", "scope", "calls", "busy", "input", "slot", "device", "p50 ms", "p95 ms",
              "failed", "alone");
  const double seconds = number("seconds");
  for (const auto& node : result["nodes"]) {
    const auto share = [&](const char* name) { return 100 * node[name].get<double>() / seconds; };
    std::printf(
        "%-16s %-7s %9lld %5.1f %% %9.1f %8.1f %8.1f %9.3f %9.3f %6lld %10s\n", node["node"].get<std::string>().c_str(),
        node["scope"].get<std::string>().c_str(), node["calls"].get<long long>(), 100 * node["share"].get<double>(), share("wait_input_seconds"),
        share("wait_slot_seconds"), share("wait_device_seconds"), node["p50_ms"].get<double>(), node["p95_ms"].get<double>(),
        node["failures"].get<long long>(),
        node["images_per_second_alone"].is_null() ? "-" : std::to_string(std::llround(node["images_per_second_alone"].get<double>())).c_str());
  }
  std::printf("\n%.0f images/s together", number("images_per_second"));
  if (!result["input_alone"].is_null()) std::printf("; the input side alone %.0f", number("input_alone"));
  if (!result["device_alone"].is_null()) std::printf("; the device side alone %.0f", number("device_alone"));
  std::printf(
      "\n%.1f of %lld batches waited for the device on average; data threads were busy %.0f %%, without room %.0f %%; the device busy %.0f %%; "
      "peak memory %.0f MiB\n",
      number("batches_waiting"), result["slots"].get<long long>(), 100 * number("data_threads_busy"), 100 * number("parked_share"),
      100 * number("device_busy"), number("peak_mib"));
  if (result.contains("waits_for_gpu_per_step")) std::printf("the host waited for the GPU %.2f times a step\n", number("waits_for_gpu_per_step"));
  if (result.contains("groups")) {
    std::printf(
        "of the groups, %lld were played as recordings of others and %lld submitted kernel by kernel; a recording counts as one call of its last "
        "node\n",
        result["groups"]["played"].get<long long>(), result["groups"]["submitted"].get<long long>());
  }
  std::printf("\nbottleneck: %s\n", result["verdict"].get<std::string>().c_str());
  for (const auto& line : result["advice"]) std::printf("next: %s\n", line.get<std::string>().c_str());
  if (number("delayed_share") > 0.1) {
    std::printf("other programs had the cores for %.0f %% of the time: the numbers would be higher without them\n", 100 * number("delayed_share"));
  }
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
  const auto readings = memory["readings"].get<size_t>();
  if (readings < app::least_readings) {
    std::printf("\nmemory was read %zu times: %zu are needed to tell whether it grows; measure longer\n", readings, app::least_readings);
  } else if (memory["leaks"].empty()) {
    std::printf("\nno node's memory grows\n");
  }
}

}  // namespace

int profile(const app::ProfileArgs& args) {
  const ordered_json result = app::profile(args, say);
  if (args.json) {
    std::cout << json_text(result, 2) << "\n";
    return 0;
  }
  args.input_only ? print_input(args.pipeline.file, result) : print_whole(args.pipeline.file, result);
  if (args.leaks) print_memory(result["memory"]);
  return 0;
}

}  // namespace flowrun::cli
