#include "tools/app/speed/profile.h"

#include <algorithm>

#include "graph/contract/context.h"
#include "graph/contract/device.h"
#include "tools/app/load/load.h"
#include "tools/app/load/part.h"
#include "tools/app/run/agreement.h"
#include "tools/app/speed/study.h"
#include "tools/app/text.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

int choose_source(const CheckedPipeline& pipeline, const std::string& name) {
  std::string names;
  for (size_t n = 0; n < pipeline.nodes.size(); ++n) {
    if (pipeline.nodes[n].scope() != Scope::source) continue;
    if (pipeline.nodes[n].name == name) return static_cast<int>(n);
    names += (names.empty() ? "" : ", ") + pipeline.nodes[n].name;
  }
  if (!name.empty()) throw PipelineError("error: --source: there is no source \"" + name + "\"; the sources are " + names);
  if (const int source = usual_source(pipeline); source >= 0) return source;
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

ordered_json profile_input(const ProfileArgs& args, CheckedPipeline all, const Say& say) {
  const int source = choose_source(all, args.source);
  const std::vector<bool> keep = input_side(all, source, args.upload);
  CheckedPipeline input = host_part_of(std::move(all), source, keep);
  say(print("measuring for %g s", args.seconds));
  const Measurement m = measure(std::move(input), {.threads = args.threads,
                                                   .seconds = args.seconds,
                                                   .steps = args.steps,
                                                   .skip = args.skip,
                                                   .images = args.images,
                                                   .stubs = args.stubs,
                                                   .leaks = args.leaks});
  ordered_json result = input_result(m);
  if (args.leaks) result["memory"] = memory_json(m);
  return result;
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
  ordered_json out = {{"images_per_second", m.rate()}, {"images", m.images},          {"steps", m.steps},     {"batch", m.batch},
                      {"seconds", m.seconds},          {"threads", m.threads},        {"cores", study.cores}, {"device", study.device},
                      {"intra_op", study.intra_op},    {"cpu_seconds", m.cpu_seconds}};
  out["input_alone"] = study.input ? ordered_json(study.input->rate()) : ordered_json();
  out["device_alone"] = study.device_side ? ordered_json(study.device_side->rate()) : ordered_json();
  out["slots"] = m.slots;
  out["batches_waiting"] = study.waiting_batches();
  out["parked_share"] = study.parked_share();
  out["device_busy"] = study.device_busy();
  out["data_threads_busy"] = study.data_busy();
  out["delayed_share"] = m.delayed / (m.seconds * study.cores);
  out["peak_mib"] = m.peak_mib;
  if (!study.on_host) out["waits_for_gpu_per_step"] = static_cast<double>(m.synchronisations) / static_cast<double>(m.steps);
  if (m.played + m.submitted > 0) out["groups"] = {{"played", m.played}, {"submitted", m.submitted}};
  out["bound_by"] = study.bound();
  out["verdict"] = study.verdict();
  out["advice"] = study.advice();
  out["nodes"] = std::move(nodes);
  return out;
}

}  // namespace

ordered_json profile(const ProfileArgs& args, const Say& say) {
  require_one_process("a profile", "see stats.json of a run that they started, which is rank 0's");
  if (args.leaks) require_memory_hooks();
  CheckedPipeline all = load_checked(args.pipeline);
  if (args.input_only) return profile_input(args, std::move(all), say);
  if (all.training_source < 0) throw PipelineError("error: no stream trains: measure a source's stream with --input-only --source NAME");
  StudyOptions options{.threads = args.threads,
                       .seconds = args.seconds,
                       .steps = args.steps,
                       .skip = args.skip,
                       .images = args.images,
                       .stubs = args.stubs,
                       .leaks = args.leaks,
                       .halves = args.stubs.empty() && !args.leaks && args.images == 0,
                       .say = say};
  const StudyResult study = Study([&] { return load_checked(args.pipeline); }, options).run();
  ordered_json result = whole_result(study);
  if (args.leaks) result["memory"] = memory_json(study.whole);
  return result;
}

}  // namespace flowrun::app
