// advise: tables of forecasts, and of what was tried.
#include "tools/app/speed/advise.h"

#include <cstdio>
#include <iostream>

#include "graph/text/json_text.h"
#include "tools/flowrun/cli/commands.h"
#include "tools/flowrun/cli/program.h"

namespace flowrun::cli {
namespace {

using nlohmann::ordered_json;

void print_groups(const ordered_json& line) {
  const auto number = [&](const char* name) { return line[name].get<double>(); };
  const std::string what = std::to_string(line["groups"].get<int64_t>()) + " groups of " + std::to_string(line["group_size"].get<int64_t>());
  std::printf("%-60s %10.0f %+6.0f %%  %s\n", what.c_str(), number("images_per_second"), 100 * number("gain"),
              line["bound_by"].get<std::string>().c_str());
  std::printf(
      "\nwith %s, not %lld groups: %.1f MiB in flight instead of %.1f, %lld groups at once; the device takes %.3f ms a call and %.3f ms an image\n",
      what.c_str(), line["groups_now"].get<long long>(), number("mib_in_flight"), number("mib_in_flight_now"), line["records"].get<long long>(),
      number("ms_per_device_call"), number("ms_per_device_image"));
}

void print_text(const std::string& file, const ordered_json& result) {
  std::printf("%s: %.0f images/s %s; bottleneck: %s\n", file.c_str(), result["images_per_second"].get<double>(),
              result["from"] == "run" ? "by its own statistics" : "here", result["verdict"].get<std::string>().c_str());
  const auto& ms = result["ms_per_image"];
  std::printf("ms per image: data thread %.3f on a core%s; device %.3f, on cores %.3f; the run reaches %.0f %% of its bound\n",
              ms["host_cpu"].get<double>(),
              ms["host_waiting"].get<double>() > 0.001 ? (" and " + std::to_string(ms["host_waiting"].get<double>()) + " waiting").c_str() : "",
              ms["device"].get<double>(), ms["device_cpu"].get<double>(), 100 * result["reached"].get<double>());
  if (const auto& contention = result["contention"]; !contention.is_null()) {
    std::printf("both share the cores: a ms of a data thread holds the device up by %.2f ms\n", contention.get<double>());
  }
  std::printf("\n");
  std::printf("%-60s %10s %8s  %s\n", "forecast", "images/s", "gain", "bound by       from, to");
  for (const auto& line : result["forecasts"]) {
    std::printf("%-60s %10.0f %+6.0f %%  %-14s %.0f to %.0f\n", line["what"].get<std::string>().c_str(), line["images_per_second"].get<double>(),
                100 * line["gain"].get<double>(), line["bound_by"].get<std::string>().c_str(), line["low"].get<double>(), line["high"].get<double>());
  }
  if (result["noisy"].get<bool>()) {
    std::printf("the machine was too noisy to forecast well: other programs had the cores for %.0f %% of the time\n",
                100 * result["delayed_share"].get<double>());
  }
  if (result.contains("regrouped")) print_groups(result["regrouped"]);
  if (!result.contains("verified")) return;
  std::printf("\n%-60s %10s %10s %10s %8s\n", "tried", "as it is", "forecast", "measured", "error");
  for (const auto& line : result["verified"]) {
    std::printf("%-60s %10.0f %10.0f %10.0f %+6.0f %%\n", line["what"].get<std::string>().c_str(), line["as_it_is"].get<double>(),
                line["predicted"].get<double>(), line["measured"].get<double>(), 100 * line["error"].get<double>());
  }
}

}  // namespace

int advise(const app::AdviseArgs& args) {
  const app::Advice advice = app::advise(args, say);
  if (args.json) {
    std::cout << json_text(advice.facts, 2) << "\n";
  } else {
    print_text(advice.file, advice.facts);
  }
  return 0;
}

}  // namespace flowrun::cli
