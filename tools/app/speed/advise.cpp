#include "tools/app/speed/advise.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>

#include "graph/contract/context.h"
#include "io/run/run_directory.h"
#include "tools/app/load/load.h"
#include "tools/app/run/agreement.h"
#include "tools/app/speed/groups.h"
#include "tools/app/speed/study.h"
#include "tools/app/text.h"

namespace flowrun::app {
namespace {

/// The largest error of forecasts, when other guests took up to 5 % of the machine: tests/perf/README.md.
constexpr double forecast_error = 0.15;

using nlohmann::ordered_json;

struct Variant {
  std::string name;
  Setting setting;
};

/// `flowrun advise` of a run directory uses its pipeline.
PipelineArgs pipeline_of(const PipelineArgs& args) {
  PipelineArgs out = args;
  if (std::filesystem::is_directory(out.file)) out.file = io::RunPaths(out.file).pipeline.string();
  return out;
}

std::vector<Variant> variants(const Setting& now, const AdviseArgs& args) {
  std::vector<Variant> out = {{"as it is", now},
                              {"one more data thread", {now.cores, now.threads + 1}},
                              {"one more core, for data", {now.cores + 1, now.threads + 1}},
                              {"a device twice as fast", {now.cores, now.threads, 2}}};
  if (args.cores > 0 || args.device_scale != 1 || args.data_threads > 0) {
    Setting asked{args.cores > 0 ? args.cores : now.cores, now.threads, args.device_scale};
    // By default threads follow the cores.
    asked.threads = args.data_threads > 0 ? args.data_threads : std::max(1.0, now.threads + asked.cores - now.cores);
    char name[128];
    std::snprintf(name, sizeof name, "%.0f cores, %.0f data threads, device %.3g times as fast", asked.cores, asked.threads, asked.device_speed);
    out.push_back({name, asked});
  }
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
                      {"contention", times.contention > 0 ? ordered_json(times.contention) : ordered_json(nullptr)},
                      {"forecasts", ordered_json::array()}};
  const double delayed = study.whole.delayed / (study.whole.seconds * study.cores);
  out["delayed_share"] = delayed;
  out["noisy"] = delayed > 0.1;
  for (const Variant& variant : variants(forecaster.measured(), args)) {
    const Forecast forecast = forecaster.at(variant.setting);
    const bool as_it_is = std::abs(forecast.images_per_second / study.whole.rate() - 1) < 1e-9;
    const double spread = as_it_is ? 0 : forecast_error + delayed;
    out["forecasts"].push_back({{"what", variant.name},
                                {"low", forecast.images_per_second * (1 - std::min(spread, 1.0))},
                                {"high", forecast.images_per_second * (1 + spread)},
                                {"cores", variant.setting.cores},
                                {"threads", variant.setting.threads},
                                {"device_scale", variant.setting.device_speed},
                                {"images_per_second", forecast.images_per_second},
                                {"gain", forecast.images_per_second / study.whole.rate() - 1},
                                {"bound_by", forecast.bound}});
  }
  return out;
}

/// One trial: the pipeline unchanged and changed, in turns; and the forecast of the changed one if the unchanged one
/// reaches `now`.
struct Tried {
  std::string name;
  std::function<Comparison(double seconds)> run;
  std::function<double(double now)> predict;
};

ordered_json verify(const std::vector<Tried>& all, double seconds, const Say& say) {
  ordered_json out = ordered_json::array();
  for (const Tried& tried : all) {
    say(print("trying for %g s: ", seconds) + tried.name);
    const Comparison found = tried.run(seconds);
    const double predicted = tried.predict(found.as_it_is);
    out.push_back({{"what", tried.name},
                   {"as_it_is", found.as_it_is},
                   {"predicted", predicted},
                   {"measured", found.changed},
                   {"error", predicted / found.changed - 1}});
  }
  return out;
}

/// Two pipelines, which can't change into each other while they run.
Comparison in_turns(const Study& now, const Study& other, const MeasureOptions& options) {
  double seconds[2] = {}, images[2] = {};
  for (int turn = 0; turn < 3; ++turn) {
    for (int i = 0; i < 2; ++i) {
      const Measurement m = (i == 0 ? now : other).measure_whole(options);
      seconds[i] += m.seconds, images[i] += static_cast<double>(m.images);
    }
  }
  return {images[0] / seconds[0], images[1] / seconds[1]};
}

/// Changes that can be tried on this machine: either side slowed down, and other groups.
std::vector<Tried> trials(const Study& study, const Forecaster& forecaster, const std::optional<Regrouping>& regrouping, int threads) {
  std::vector<Tried> out;
  const auto slowed = [&](const char* name, double host, double device) {
    out.push_back(
        {name,
         [&study, threads, host, device](double seconds) { return study.compare_slowed({.threads = threads, .seconds = seconds}, host, device); },
         [&forecaster, host, device](double now) {
           return forecaster.slowed(host, device).images_per_second * now / forecaster.at(forecaster.measured()).images_per_second;
         }});
  };
  slowed("the device takes 3 times as long", 1, 3);
  slowed("the device takes 2 times as long", 1, 2);
  slowed("data nodes take 4 times as long", 4, 1);
  slowed("data nodes take 16 times as long", 16, 1);
  if (regrouping) {
    out.push_back({"other groups",
                   [&study, &regrouping, threads](double seconds) {
                     const Study other([&] { return load_checked(regrouping->changed()); }, {});
                     return in_turns(study, other, {.threads = threads, .seconds = seconds / 6});
                   },
                   [&](double now) { return regrouping->scaled(now, forecaster); }});
  }
  return out;
}

}  // namespace

Advice advise(const AdviseArgs& args, const Say& say) {
  require_one_process("advice", "see `flowrun plan`, which foretells a run on many");
  const PipelineArgs pipeline = pipeline_of(args.pipeline);
  const CheckedPipeline checked = load_checked(pipeline);
  if (std::none_of(checked.nodes.begin(), checked.nodes.end(), [](const CheckedNode& node) { return !node.uses.empty(); })) {
    throw PipelineError("error: no node uses a model: flowrun profile --input-only tells the input side's speed");
  }
  if (checked.training_source < 0) throw PipelineError("error: no stream trains: nothing to forecast");
  const Study study([&] { return load_checked(pipeline); }, {.threads = args.threads, .seconds = args.seconds, .say = say});
  const bool of_run = pipeline.file != args.pipeline.file;
  // With other values it would be a different run.
  const bool measures = !of_run || args.measure || args.verify || args.groups > 0 || args.threads > 0 || !pipeline.sets.empty();
  std::optional<StudyResult> found;
  if (!measures && !(found = study_of_run(args.pipeline.file, pipeline.trust))) {
    say(args.pipeline.file + " has no statistics to forecast from: measuring");
  }
  const bool from_run = found.has_value();
  if (!found) found = study.run();
  const Forecaster forecaster = found->forecaster();
  ordered_json result = {{"from", from_run ? "run" : "measurement"}};
  result.update(forecast_json(*found, forecaster, args));
  std::optional<Regrouping> regrouping;
  if (args.groups > 0) {
    regrouping.emplace(pipeline, args.groups, *found, args.seconds / 5, say);
    result["regrouped"] = regrouping->forecast(*found, forecaster);
  }
  if (args.verify) result["verified"] = verify(trials(study, forecaster, regrouping, found->whole.threads), args.seconds / 2, say);
  return {.file = from_run ? args.pipeline.file : pipeline.file, .facts = std::move(result)};
}

}  // namespace flowrun::app
