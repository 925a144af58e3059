// profile: where a pipeline's time goes, what limits it, and what to change; or the same of its input side alone.
#include "tools/app/speed/profile.h"

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "graph/contract/context.h"
#include "graph/contract/device.h"
#include "graph/text/json_text.h"
#include "tools/app/load/load.h"
#include "tools/app/load/part.h"
#include "tools/app/run/agreement.h"
#include "tools/app/speed/study.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

int choose_source(const CheckedPipeline& pipeline, const std::string& name) {
  std::string names;
  int only = -1, count = 0;
  for (size_t n = 0; n < pipeline.nodes.size(); ++n) {
    if (pipeline.nodes[n].scope() != Scope::source) continue;
    if (pipeline.nodes[n].name == name) return static_cast<int>(n);
    names += (names.empty() ? "" : ", ") + pipeline.nodes[n].name;
    only = static_cast<int>(n), ++count;
  }
  if (!name.empty()) throw PipelineError("error: --source: there is no source \"" + name + "\"; the sources are " + names);
  if (pipeline.training_source >= 0) return pipeline.training_source;
  if (count == 1) return only;
  throw PipelineError("error: no stream trains: name the one to measure with --source, one of " + names);
}

ordered_json input_result(const Measurement& m) {
  const double thread_seconds = m.seconds * m.threads;
  const auto images = static_cast<double>(m.images);
  ordered_json nodes = ordered_json::array();
  const NodeTimes* slowest = &m.nodes.front();
  for (const NodeTimes& node : m.nodes) {
    nodes.push_back({{"node", node.name},
                     {"type", node.type},
                     {"ms_per_image", 1e3 * node.busy / images},
                     {"share", node.busy / thread_seconds},
                     {"p50_ms", 1e3 * node.p50},
                     {"p95_ms", 1e3 * node.p95}});
    if (node.busy > slowest->busy) slowest = &node;
  }
  const double waiting = m.waiting_for_storage();
  return {{"images_per_second", m.rate()},
          {"images_per_second_per_thread", m.rate() / m.threads},
          {"threads", m.threads},
          {"images", m.images},
          {"seconds", m.seconds},
          {"cpu_share", m.cpu_seconds / thread_seconds},
          {"delayed_share", m.delayed / thread_seconds},
          {"peak_mib", m.peak_mib},
          {"bound_by", waiting > 0.2 ? "storage" : "cpu"},
          {"slowest", slowest->name},
          {"waiting_share", waiting},
          {"nodes", nodes}};
}

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

int profile_input(const ProfileArgs& args, CheckedPipeline all) {
  const int source = choose_source(all, args.source);
  const std::vector<bool> keep = input_side(all, source, args.upload);
  CheckedPipeline input = part_of(std::move(all), source, keep);
  input.run.device = "cpu";
  input.run.precision = "fp32";
  device_runtime().resolve(input.run);
  std::fprintf(stderr, "measuring for %g s\n", args.seconds);
  const Measurement m = measure(std::move(input), {.threads = args.threads,
                                                   .seconds = args.seconds,
                                                   .steps = args.steps,
                                                   .skip = args.skip,
                                                   .images = args.images,
                                                   .stubs = args.stubs,
                                                   .leaks = args.leaks});
  ordered_json result = input_result(m);
  if (args.leaks) result["memory"] = memory_json(m);
  if (args.json) {
    std::cout << json_text(result, 2) << "\n";
  } else {
    print_input(args.pipeline.file, result);
    if (args.leaks) print_memory(result["memory"]);
  }
  return 0;
}

ordered_json whole_result(const StudyResult& study) {
  const Measurement& m = study.whole;
  const auto images = static_cast<double>(m.images);
  ordered_json nodes = ordered_json::array();
  for (const NodeTimes& node : m.nodes) {
    const bool device = node.scope >= Scope::device;
    const double executors = device ? 1 : m.threads;
    nodes.push_back({{"node", node.name},
                     {"type", node.type},
                     {"scope", scope_name(node.scope)},
                     {"calls", static_cast<int64_t>(node.calls)},
                     {"failures", static_cast<int64_t>(node.failures)},
                     {"busy_seconds", node.busy},
                     {"share", node.busy / (m.seconds * executors)},
                     {"wait_input_seconds", node.wait_input},
                     {"wait_slot_seconds", node.wait_slot},
                     {"wait_device_seconds", node.wait_device},
                     {"p50_ms", 1e3 * node.p50},
                     {"p95_ms", 1e3 * node.p95},
                     {"images_per_second_alone", node.busy > 0 ? ordered_json(images * executors / node.busy) : ordered_json()}});
  }
  ordered_json out = {{"images_per_second", m.rate()}, {"images", m.images},   {"steps", m.steps},     {"batch", m.batch},
                      {"seconds", m.seconds},          {"threads", m.threads}, {"cores", study.cores}, {"device", study.device},
                      {"intra_op", study.intra_op}};
  out["input_alone"] = study.input ? ordered_json(study.input->rate()) : ordered_json();
  out["device_alone"] = study.device_side ? ordered_json(study.device_side->rate()) : ordered_json();
  out["slots"] = m.slots;
  out["batches_waiting"] = study.waiting_batches();
  out["parked_share"] = study.parked_share();
  out["device_busy"] = study.device_busy();
  out["data_threads_busy"] = study.data_busy();
  out["delayed_share"] = m.delayed / (m.seconds * study.cores);
  out["peak_mib"] = m.peak_mib;
  if (study.device.starts_with("cuda")) out["waits_for_gpu_per_step"] = static_cast<double>(m.synchronisations) / static_cast<double>(m.steps);
  if (m.played + m.submitted > 0) out["groups"] = {{"played", m.played}, {"submitted", m.submitted}};
  out["bound_by"] = study.bound();
  out["verdict"] = study.verdict();
  out["advice"] = study.advice();
  out["nodes"] = std::move(nodes);
  return out;
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

}  // namespace

int profile(const ProfileArgs& args) {
  require_one_process("a profile", "see stats.json of a run that they started, which is rank 0's");
  if (args.leaks) require_memory_hooks();
  CheckedPipeline all = load_checked(args.pipeline);
  if (args.input_only) return profile_input(args, std::move(all));
  if (all.training_source < 0) throw PipelineError("error: no stream trains: measure a source's stream with --input-only --source NAME");
  StudyOptions options{.threads = args.threads,
                       .seconds = args.seconds,
                       .steps = args.steps,
                       .stubs = args.stubs,
                       .leaks = args.leaks,
                       .halves = args.stubs.empty() && !args.leaks};
  const StudyResult study = Study([&] { return load_checked(args.pipeline); }, options).run();
  ordered_json result = whole_result(study);
  if (args.leaks) result["memory"] = memory_json(study.whole);
  if (args.json) {
    std::cout << json_text(result, 2) << "\n";
  } else {
    print_whole(args.pipeline.file, result);
    if (args.leaks) print_memory(result["memory"]);
  }
  return 0;
}

}  // namespace flowrun::app
