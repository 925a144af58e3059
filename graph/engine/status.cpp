// The present state of a run, for queries from outside while it goes on.
#include <nlohmann/json.hpp>
#include <sys/resource.h>

#include "graph/contract/device.h"
#include "graph/engine/engine.h"
#include "graph/run/group_recorder.h"

namespace flowrun {

using nlohmann::ordered_json;

void Engine::watch(StreamRun* run) {
  const std::lock_guard lock(watch_mutex_);
  in_work_ = run;
  if (options_.trace == 0) return;
  if (run != nullptr) {
    traced_.push_back({run->segment(), ticks()});
  } else if (!traced_.empty()) {
    traced_.back().end = ticks();
  }
}

ordered_json Engine::thread_status(int worker) const {
  const bool device = worker + 1 == stats_->workers();
  ordered_json out = {{"thread", device ? "device" : "data " + std::to_string(worker + 1)}};
  const Activity& activity = *stats_->activity(worker);
  const int n = activity.node.load(std::memory_order_relaxed);
  if (n < 0) return out;
  const CheckedNode& node = pipeline_.nodes[static_cast<size_t>(n)];
  const int level = activity.level.load(std::memory_order_relaxed);
  const int64_t index = activity.index.load(std::memory_order_relaxed);
  const uint64_t now = ticks(), since = activity.since.load(std::memory_order_relaxed);
  out["node"] = node.name;
  out["seconds"] = now > since ? static_cast<double>(now - since) * stats_->seconds_per_tick() : 0.0;
  if (in_work_ == nullptr || level == step_level) return out;
  const Segment& segment = in_work_->segment();
  const int64_t samples = segment.stream->grouping.group;
  const int64_t group = level == sample_level ? index / samples : index;
  const Place place = segment.place(group);
  out["step"] = place.step;
  out["epoch"] = place.epoch;
  out["group"] = group % segment.groups;
  if (level != sample_level) return out;
  const CheckedNode& source = pipeline_.nodes[static_cast<size_t>(segment.stream->source)];
  out["position"] = place.position + static_cast<uint64_t>(index % samples);
  out["sample"] = activity.sample.load(std::memory_order_relaxed);
  out["key"] = source.node->key(out["sample"].get<uint64_t>());
  return out;
}

ordered_json Engine::status_json() const {
  ordered_json out = stats_json();
  out["plugins"] = pipeline_.plugins;
  const std::lock_guard lock(watch_mutex_);
  out["threads_now"] = ordered_json::array();
  for (int w = 0; w < stats_->workers(); ++w) out["threads_now"].push_back(thread_status(w));
  if (in_work_ == nullptr) return out;
  const Segment& segment = in_work_->segment();
  const auto name = [&](int node) { return node < 0 ? std::string("(delivery)") : pipeline_.nodes[static_cast<size_t>(node)].name; };
  out["stream"] = name(segment.stream->source);
  out["training"] = segment.stream->training;
  out["steps_done"] = segment.first_step - 1 + in_work_->completed_steps();
  const InFlight in_flight = in_work_->in_flight();
  out["parked"] = in_flight.parked;
  out["groups"] = ordered_json::array();
  for (const InFlight::Group& g : in_flight.groups) {
    out["groups"].push_back({{"step", g.step}, {"group", g.group}, {"arrived", g.arrived}, {"images", g.images}});
  }
  out["device_queue"] = ordered_json::array();
  const uint64_t now = ticks();
  for (const InFlight::Queued& q : in_flight.device) {
    ordered_json behind = ordered_json::array();
    for (const int node : q.behind) behind.push_back(name(node));
    out["device_queue"].push_back({{"node", name(q.node)},
                                   {"step", q.step},
                                   {"seconds", now > q.since ? static_cast<double>(now - q.since) * stats_->seconds_per_tick() : 0.0},
                                   {"behind", std::move(behind)}});
  }
  return out;
}

nlohmann::ordered_json Engine::stats_json() const {
  std::vector<std::string> names, scopes;
  for (const CheckedNode& node : pipeline_.nodes) {
    names.push_back(node.name);
    scopes.emplace_back(scope_name(node.scope()));
  }
  nlohmann::ordered_json out;
  out["seconds"] = stats_->seconds();
  out["threads"] = info_.threads;
  out["cores"] = available_cores();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  out["cpu_seconds"] = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                       1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  out["nodes"] = stats_->json(names, scopes);
  if (recorder_ != nullptr) {
    const GroupRecorder::Counts counts = recorder_->counts();
    out["recordings"] = {{"submitted", counts.submitted}, {"recorded", counts.recorded}, {"played", counts.played}};
  }
  if (std::string why = recorder_ == nullptr ? why_not_recorded_ : recorder_->why_not(); !why.empty()) out["recordings"]["why_not"] = std::move(why);
  out["buffers"] = {{"groups", slots_.load()}, {"bytes", bytes_in_flight_.load()}};
  return out;
}

}  // namespace flowrun
