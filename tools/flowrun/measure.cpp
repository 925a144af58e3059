#include "tools/flowrun/measure.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <unistd.h>

#include "graph/device.h"

namespace flowrun::tool {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

/// What is read at the beginning and at the end of the time that counts.
struct Reading {
  double seconds;  // since the engine began
  double cpu_seconds, delayed;
  int64_t images, step;
  ordered_json nodes;
};

double seconds_of(const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6; }

double delayed_seconds() {
  double sum = 0;
  std::error_code error;
  for (const auto& task : fs::directory_iterator("/proc/self/task", error)) {
    std::ifstream line(task.path() / "schedstat");  // nanoseconds on a core, and waiting for one
    uint64_t ran = 0, waited = 0;
    if (line >> ran >> waited) sum += static_cast<double>(waited) * 1e-9;
  }
  return sum;
}

Reading read(const Engine& engine, const StepContext& context) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {.seconds = context.seconds,
          .cpu_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime),
          .delayed = delayed_seconds(),
          .images = context.images,
          .step = context.step,
          .nodes = engine.stats_json()["nodes"]};
}

class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "flowrun-profile-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw RunError("cannot make a folder in " + fs::temp_directory_path().string());
    path_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

Measurement between(const CheckedPipeline& pipeline, const Reading& begin, const Reading& end) {
  Measurement out{};
  out.seconds = end.seconds - begin.seconds;
  out.images = end.images - begin.images;
  out.steps = end.step - begin.step;
  out.cpu_seconds = end.cpu_seconds - begin.cpu_seconds;
  out.delayed = end.delayed - begin.delayed;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  out.peak_mib = static_cast<double>(usage.ru_maxrss) / 1024;
  for (const CheckedNode& node : pipeline.nodes) {
    const auto spent = [&](const char* what) { return end.nodes[node.name].value(what, 0.0) - begin.nodes[node.name].value(what, 0.0); };
    out.nodes.push_back({.name = node.name,
                         .type = node.type->info.type,
                         .scope = node.scope(),
                         .calls = spent("count"),
                         .failures = spent("failures"),
                         .busy = spent("busy"),
                         .cpu = spent("cpu"),
                         .wait_input = spent("wait_input"),
                         .wait_slot = spent("wait_slot"),
                         .wait_device = spent("wait_device"),
                         .p50 = end.nodes[node.name]["p50"],
                         .p95 = end.nodes[node.name]["p95"]});
  }
  return out;
}

}  // namespace

double Measurement::sum(bool device, double NodeTimes::*what) const {
  double total = 0;
  for (const NodeTimes& node : nodes) {
    if ((node.scope >= Scope::device) == device) total += node.*what;
  }
  return total;
}

/// All nodes lose their core to other programs alike, but only the source waits for the storage: it is what its time on
/// a core falls short, beyond the others' loss.
double Measurement::waiting_for_storage() const {
  double source_busy = 0, source_cpu = 0;
  for (const NodeTimes& node : nodes) {
    if (node.scope == Scope::source) source_busy += node.busy, source_cpu += node.cpu;
  }
  const double others_busy = sum(false, &NodeTimes::busy) - source_busy, others_cpu = sum(false, &NodeTimes::cpu) - source_cpu;
  const double on_core = others_busy > 0 ? std::min(1.0, others_cpu / others_busy) : 1;
  const double idle = std::max(0.0, seconds * threads - cpu_seconds - delayed);
  return std::min(idle, std::max(0.0, source_busy * on_core - source_cpu)) / (seconds * threads);
}

Measurement measure(CheckedPipeline pipeline, const MeasureOptions& options) {
  pipeline.run.epochs = INT32_MAX;
  pipeline.run.steps = 0;
  std::atomic<bool> stop{false};
  std::optional<Reading> begin, end;
  std::vector<MemoryReading> memory;
  double memory_read = 0;
  if (options.leaks) count_memory();
  std::unique_ptr<Engine> engine;
  const Scratch scratch;
  EngineOptions run{.threads = options.threads,
                    .stubs = options.stubs,
                    .slow_host = options.slow_host,
                    .slow_device = options.slow_device,
                    .counts_cpu = true,
                    .directory = scratch.path().string(),
                    .stop = &stop};
  run.on_step = [&](const StepContext& context) {
    if (!begin) {
      const bool warm = options.images > 0 ? context.images >= options.skip : context.seconds > options.warm_up && context.step > 2;
      if (warm) begin = read(*engine, context);
      return;
    }
    if (options.leaks && context.seconds > memory_read + 0.005) memory_read = context.seconds, memory.push_back(read_memory(pipeline.nodes.size()));
    const bool enough = options.images > 0  ? context.images - begin->images >= options.images
                        : options.steps > 0 ? context.step - begin->step >= options.steps
                                            : context.seconds - begin->seconds >= options.seconds;
    if (end || !enough) return;
    end = read(*engine, context);
    stop.store(true);
  };
  engine = std::make_unique<Engine>(pipeline, std::move(run));
  try {
    engine->run();
  } catch (const RunError& error) {
    // The folder that it names is gone by then.
    const std::string text = error.what();
    throw RunError(text.substr(0, text.find("\n  replay:")));
  }
  if (!end) throw RunError("the run ended before enough was measured");
  Measurement out = between(pipeline, *begin, *end);
  out.memory = std::move(memory);
  out.threads = engine->info().threads;
  out.batch = engine->info().batch;
  const ordered_json buffers = engine->stats_json()["buffers"];
  out.slots = buffers["groups"];
  out.bytes = buffers["bytes"];
  return out;
}

}  // namespace flowrun::tool
