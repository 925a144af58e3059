// The start of a run: nodes and models are opened, and the memory in flight is computed from one group. Sources are in
// engine_sources.cpp.
#include <algorithm>

#include "graph/contract/device.h"
#include "graph/engine/engine.h"
#include "graph/run/bind.h"
#include "graph/run/group_recorder.h"

namespace flowrun {
namespace {

/// The number of data threads if the pipeline leaves it open: the cores that the device does not use.
int data_threads(const CheckedPipeline& pipeline) {
  if (pipeline.run.threads > 0) return static_cast<int>(pipeline.run.threads);
  const int cores = available_cores();
  const bool has_device =
      std::any_of(pipeline.nodes.begin(), pipeline.nodes.end(), [](const CheckedNode& node) { return node.scope() >= Scope::device; });
  if (!has_device) return cores;
  const int64_t taken = device_runtime(pipeline.run.device).info().on_host ? std::max<int64_t>(pipeline.run.intra_op, 1) : 1;
  return static_cast<int>(std::max<int64_t>(cores - taken, 1));
}

}  // namespace

Engine::Engine(CheckedPipeline& pipeline, EngineOptions options) : pipeline_(pipeline), options_(std::move(options)) {
  plan_ = lower(pipeline_, options_.world);
  if (!options_.stubs.empty()) stubs_.emplace(pipeline_, plan_, options_.stubs);
  if (!options_.in_ledger.empty()) plan_.trains = options_.in_ledger;
  info_.seed = pipeline_.seed;
  info_.device = pipeline_.run.device;
  info_.precision = pipeline_.run.precision;
  info_.pass_per_rank = pipeline_.run.pass == "rank";
  info_.directory = options_.directory;
  info_.resumed = options_.resume.has_value();
  info_.rank = options_.rank;
  info_.world = options_.world;
  info_.ranks = options_.ranks;
  info_.threads = options_.threads > 0 ? options_.threads : data_threads(pipeline_);
  if (options_.serial) info_.threads = 1;
  executor_ = options_.serial ? make_serial_executor(pipeline_.run) : make_tbb_executor(pipeline_.run, info_.threads);
  stats_ = std::make_unique<Stats>(pipeline_.nodes.size(), executor_->workers(), options_.trace);
  inactive_.resize(pipeline_.nodes.size());
  why_not_recorded_ = make_recorder();
  info_.records = recorder_ != nullptr;
  if (!device_runtime(info_.device).info().on_host && recorder_ == nullptr) log_info("no CUDA graphs: " + why_not_recorded_);
  executor_->on_device([&] {
    open_sources();
    match_labels();
    compare_data();
    size_run();
    open_rest();
    prove_memory();
    restore();
  });
  share_input();
}

/// Why the work of training groups will not be recorded; empty: recorder_ records it.
std::string Engine::make_recorder() {
  if (pipeline_.training_source < 0) return "nothing is trained";
  if (pipeline_.run.cuda_graphs == "off") return "run.cuda_graphs is off";
  DeviceRuntime& device = device_runtime(info_.device);
  if (std::string why = device.cannot_record(); !why.empty()) return why;
  if (info_.world > 1) return "several ranks exchange gradients within the backward pass";
  if (stubs_) return "some nodes replay their first output";
  if (const LevelPlan& groups = plan_.streams[0].level[group_level]; !groups.barriers.empty()) {
    const int whole = groups.node_of(groups.barriers[0].folds[0]);
    return pipeline_.nodes[static_cast<size_t>(whole)].name + " waits for all groups of a step";
  }
  auto recorder = std::make_unique<GroupRecorder>(pipeline_, plan_.streams[0].level[group_level], device);
  std::string why = recorder->why_not();
  if (why.empty()) recorder_ = std::move(recorder);
  return why;
}

void Engine::open_rest() {
  for (CheckedModel& model : pipeline_.models) {
    bind_models(model.model->params(), pipeline_.models, resources_);
    guard(model.name, [&] { resources_.push_back(model.model->open({info_, model.name, hash_text(model.name)})); });
  }
  for (size_t n = 0; n < pipeline_.nodes.size(); ++n) {
    CheckedNode& node = pipeline_.nodes[n];
    bind_models(node.node->params(), pipeline_.models, resources_);
    if (node.scope() == Scope::source) continue;
    const std::map<std::string, const SourceData*> inputs = input_data(node);
    const std::vector<std::string> read = pipeline_.read_ports(static_cast<int>(n));
    guard(node.name, [&] { node.node->open({.run = info_, .name = node.name, .stream = node.stream, .read_ports = &read, .inputs = &inputs}); });
  }
}

/// Measures the memory of one group of each stream, and refuses a budget that can't hold one.
void Engine::prove_memory() {
  for (const StreamPlan& stream : plan_.streams) {
    const uint64_t samples = pipeline_.nodes[static_cast<size_t>(stream.source)].node->size();
    // Two steps: as many records as a long segment has.
    const int64_t first_step = 1 - std::min<int64_t>(info_.epoch_shift, 0);
    const Segment segment =
        stream.training ? Segment::training(stream, samples, first_step, 2, info_) : Segment::pass(stream, samples, info_.rank, info_.world);
    if (segment.groups == 0) continue;
    const StreamRun probe(pipeline_, plan_, segment, *stats_, stream_options(), [](const Work&) {});
    footprint_.groups = std::max(footprint_.groups, probe.bytes_in_flight());
  }
}

Footprint Engine::footprint() {
  Footprint out = footprint_;
  const auto bytes = [](const State& state) {
    size_t sum = 0;
    for (const auto& [name, array] : state) sum += array.bytes;
    return sum;
  };
  executor_->on_device([&] {
    const std::vector<bool> trained = changed_models(pipeline_);
    // An optimizer makes its two moments at its first step.
    for (size_t m = 0; m < resources_.size(); ++m) {
      const size_t weights = bytes(resources_[m]->save());
      out.models += weights * (trained[m] ? 4 : 1);
      out.saved += weights * (trained[m] ? 3 : 1);
    }
  });
  return out;
}

void Engine::share_input() {
  if (options_.gives == nullptr && options_.takes == nullptr) return;
  if (options_.serial || info_.world > 1) throw PipelineError("error: runs that share their input need threads, and one rank");
  if (pipeline_.training_source < 0) throw PipelineError("error: there is no stream that trains, so no input to share");
  const uint64_t samples = pipeline_.nodes[static_cast<size_t>(pipeline_.training_source)].node->size();
  if (options_.gives != nullptr) options_.gives->lead(pipeline_, plan_, samples);
  if (options_.takes != nullptr) options_.takes->join(pipeline_, plan_, samples, {step_ + 1, info_.last_step});
}

}  // namespace flowrun
