// advise: what a pipeline would give with other cores, threads or devices; and whether such forecasts hold.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "graph/context.h"
#include "tools/flowrun/load.h"
#include "tools/flowrun/study.h"

namespace flowrun::tool {
namespace {

using nlohmann::ordered_json;

struct Variant {
  std::string name;
  Setting setting;
};

std::vector<Variant> variants(const Setting& now, const AdviseArgs& args) {
  std::vector<Variant> out = {{"as it is", now},
                              {"one more data thread", {now.cores, now.threads + 1}},
                              {"one more core, for data", {now.cores + 1, now.threads + 1}},
                              {"a device twice as fast", {now.cores, now.threads, 2}}};
  if (args.cores > 0 || args.device_scale != 1 || args.data_threads > 0) {
    Setting asked{args.cores > 0 ? args.cores : now.cores, now.threads, args.device_scale};
    // Threads follow the cores, if nothing else is said.
    asked.threads = args.data_threads > 0 ? args.data_threads : std::max(1.0, now.threads + asked.cores - now.cores);
    char name[128];
    std::snprintf(name, sizeof name, "%.0f cores, %.0f data threads, device %.3g times as fast", asked.cores, asked.threads, asked.device_speed);
    out.push_back({name, asked});
  }
  return out;
}

/// What can be tried on this machine: more or fewer data threads, and either side slowed down.
struct Trial {
  std::string name;
  MeasureOptions options;
  double host_factor, device_factor;
};

std::vector<Trial> trials(int threads) {
  std::vector<Trial> out;
  out.push_back({"data nodes take 4 times as long", {.slow_host = 4}, 4, 1});
  out.push_back({"data nodes take 16 times as long", {.slow_host = 16}, 16, 1});
  out.push_back({"the device takes 2 times as long", {.slow_device = 2}, 1, 2});
  out.push_back({"the device takes 3 times as long", {.slow_device = 3}, 1, 3});
  for (Trial& trial : out) trial.options.threads = threads;
  return out;
}

ordered_json forecast_json(const StudyResult& study, const Forecaster& forecaster, const AdviseArgs& args) {
  const ServiceTimes& times = forecaster.times();
  ordered_json out = {{"images_per_second", study.whole.rate()},
                      {"cores", study.cores},
                      {"threads", study.whole.threads},
                      {"device", study.device},
                      {"bound_by", study.bound()},
                      {"verdict", study.verdict()},
                      {"reached", forecaster.reached()},
                      {"ms_per_image",
                       {{"host_cpu", 1e3 * times.host_cpu},
                        {"host_waiting", 1e3 * times.host_waiting},
                        {"device", 1e3 * times.device},
                        {"device_cpu", 1e3 * times.device_cpu}}},
                      {"forecasts", ordered_json::array()}};
  for (const Variant& variant : variants(forecaster.measured(), args)) {
    const Forecast forecast = forecaster.at(variant.setting);
    out["forecasts"].push_back({{"what", variant.name},
                                {"cores", variant.setting.cores},
                                {"threads", variant.setting.threads},
                                {"device_scale", variant.setting.device_speed},
                                {"images_per_second", forecast.images_per_second},
                                {"gain", forecast.images_per_second / study.whole.rate() - 1},
                                {"bound_by", forecast.bound}});
  }
  return out;
}

/// Each trial between two runs of the whole, with which it is compared: so what else the machine does falls out.
ordered_json verify(const Study& study, const Forecaster& forecaster, const AdviseArgs& args, int threads) {
  ordered_json out = ordered_json::array();
  const double seconds = args.seconds / 4;
  double before = study.measure_whole({.threads = threads, .seconds = seconds}).rate();
  for (Trial& trial : trials(threads)) {
    std::fprintf(stderr, "trying: %s\n", trial.name.c_str());
    trial.options.seconds = seconds;
    const double measured = study.measure_whole(trial.options).rate();
    const double after = study.measure_whole({.threads = threads, .seconds = seconds}).rate();
    const double scale = std::sqrt(before * after) / forecaster.at(forecaster.measured()).images_per_second;
    before = after;
    const double predicted = forecaster.slowed(trial.host_factor, trial.device_factor).images_per_second * scale;
    out.push_back({{"what", trial.name}, {"predicted", predicted}, {"measured", measured}, {"error", predicted / measured - 1}});
  }
  return out;
}

void print_text(const std::string& file, const ordered_json& result) {
  std::printf("%s gives %.0f images/s here; bottleneck: %s\n", file.c_str(), result["images_per_second"].get<double>(),
              result["verdict"].get<std::string>().c_str());
  const auto& ms = result["ms_per_image"];
  std::printf("ms per image: data thread %.3f on a core%s; device %.3f, on cores %.3f; the run reaches %.0f %% of its bound\n\n",
              ms["host_cpu"].get<double>(),
              ms["host_waiting"].get<double>() > 0.001 ? (" and " + std::to_string(ms["host_waiting"].get<double>()) + " waiting").c_str() : "",
              ms["device"].get<double>(), ms["device_cpu"].get<double>(), 100 * result["reached"].get<double>());
  std::printf("%-60s %10s %8s  %s\n", "forecast", "images/s", "gain", "bound by");
  for (const auto& line : result["forecasts"]) {
    std::printf("%-60s %10.0f %+6.0f %%  %s\n", line["what"].get<std::string>().c_str(), line["images_per_second"].get<double>(),
                100 * line["gain"].get<double>(), line["bound_by"].get<std::string>().c_str());
  }
  if (!result.contains("verified")) return;
  std::printf("\n%-60s %10s %10s %8s\n", "tried", "forecast", "measured", "error");
  for (const auto& line : result["verified"]) {
    std::printf("%-60s %10.0f %10.0f %+6.0f %%\n", line["what"].get<std::string>().c_str(), line["predicted"].get<double>(),
                line["measured"].get<double>(), 100 * line["error"].get<double>());
  }
}

}  // namespace

int advise(const AdviseArgs& args) {
  PipelineArgs pipeline = args.pipeline;
  if (std::filesystem::is_directory(pipeline.file)) pipeline.file = (std::filesystem::path(pipeline.file) / "pipeline.resolved.json").string();
  const CheckedPipeline checked = load_checked(pipeline);
  if (std::none_of(checked.nodes.begin(), checked.nodes.end(), [](const CheckedNode& node) { return !node.uses.empty(); })) {
    throw PipelineError("error: no node uses a model: flowrun profile --input-only tells the input side's speed");
  }
  if (checked.training_source < 0) throw PipelineError("error: no stream trains: nothing to forecast");
  const Study study([&] { return load_checked(pipeline); }, {.threads = args.threads, .seconds = args.seconds});
  const StudyResult measured = study.run();
  const Forecaster forecaster = measured.forecaster();
  ordered_json result = forecast_json(measured, forecaster, args);
  if (args.verify) result["verified"] = verify(study, forecaster, args, measured.whole.threads);
  if (args.json) {
    std::cout << result.dump(2) << "\n";
  } else {
    print_text(pipeline.file, result);
  }
  return 0;
}

}  // namespace flowrun::tool
