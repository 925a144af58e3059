#include "tools/app/speed/measure.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <unistd.h>

#include "graph/contract/device.h"
#include "graph/measure/slowdown.h"
#include "tools/app/temporary_folder.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

/// The values read at the beginning and at the end of the measured time.
struct Reading {
  double seconds;  // since the engine began
  double cpu_seconds, delayed;
  int64_t images, step;
  int64_t synchronisations;
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
          .synchronisations = device_runtime(engine.info().device).synchronisations(),
          .nodes = engine.stats_json()["nodes"]};
}

Measurement between(const CheckedPipeline& pipeline, const Reading& begin, const Reading& end) {
  Measurement out{};
  out.seconds = end.seconds - begin.seconds;
  out.images = end.images - begin.images;
  out.steps = end.step - begin.step;
  out.cpu_seconds = end.cpu_seconds - begin.cpu_seconds;
  out.delayed = end.delayed - begin.delayed;
  out.synchronisations = end.synchronisations - begin.synchronisations;
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

void make_endless(RunParams& run) {
  run.epochs = INT32_MAX;
  run.steps = 0;
}

void run_in_scratch(Engine& engine) {
  try {
    engine.run();
  } catch (const RunError& error) {
    // The folder that it names no longer exists then.
    const std::string text = error.what();
    throw RunError(text.substr(0, text.find("\n  replay:")));
  }
}

/// The turns of a comparison. The first part of each doesn't count: buffers still hold earlier data then.
class Turns {
 public:
  Turns(Slowdown& slowdown, double host, double device, double seconds) : slowdown_(slowdown), host_(host), device_(device), turn_(seconds / turns) {}

  /// Whether all have been taken.
  bool step(const StepContext& context) {
    ++steps_;
    if (!counts_ && context.seconds - began_ > turn_ / 3 && steps_ >= 1)
      counts_ = true, steps_ = 0, from_ = context.seconds, images_ = context.images;
    if (!counts_ || context.seconds - from_ < turn_ * 2 / 3 || steps_ < 2) return false;
    Sum& sum = sums_[slow_];
    sum.seconds += context.seconds - from_, sum.images += static_cast<double>(context.images - images_);
    slow_ = !slow_, counts_ = false, steps_ = 0, began_ = context.seconds;
    slowdown_.host = slow_ ? host_ : 1, slowdown_.device = slow_ ? device_ : 1;
    return ++taken_ == turns;
  }

  Comparison result() const { return {sums_[0].images / sums_[0].seconds, sums_[1].images / sums_[1].seconds}; }

 private:
  static constexpr int turns = 12;
  struct Sum {
    double seconds = 0, images = 0;
  };

  Slowdown& slowdown_;
  const double host_, device_, turn_;
  double began_ = 0, from_ = 0;
  int64_t images_ = 0;
  int steps_ = 0, taken_ = 0;
  bool slow_ = false, counts_ = false;
  Sum sums_[2];
};

}  // namespace

double Measurement::sum(bool device, double NodeTimes::*what) const {
  double total = 0;
  for (const NodeTimes& node : nodes) {
    if ((node.scope >= Scope::device) == device) total += node.*what;
  }
  return total;
}

/// All nodes lose their core to other programs alike, but only the source waits for the storage: this is its time off
/// the core beyond the others' loss.
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
  make_endless(pipeline.run);
  std::atomic<bool> stop{false};
  std::optional<Reading> begin, end;
  std::vector<MemoryReading> memory;
  double memory_read = 0;
  if (options.leaks) count_memory();
  std::unique_ptr<Engine> engine;
  const TemporaryFolder scratch;
  EngineOptions run{.threads = options.threads,
                    .stubs = options.stubs,
                    .wraps = true,
                    .cpu_readings = CpuReadings::some,
                    .directory = scratch.path().string(),
                    .stop = &stop};
  run.on_step = [&](const StepContext& context) {
    if (!begin) {
      const bool warm = options.images > 0 ? context.images >= options.skip : context.seconds > options.warm_up && context.step > 2;
      if (warm) begin = read(*engine, context);
      return;
    }
    if (options.leaks && (options.steps > 0 || options.images > 0 || context.seconds > memory_read + 0.005)) {
      memory_read = context.seconds;
      memory.push_back(read_memory(pipeline.nodes.size(), context.images));
    }
    const bool enough = options.images > 0  ? context.images - begin->images >= options.images
                        : options.steps > 0 ? context.step - begin->step >= options.steps
                                            : context.seconds - begin->seconds >= options.seconds;
    if (end || !enough) return;
    end = read(*engine, context);
    stop.store(true);
  };
  engine = std::make_unique<Engine>(pipeline, std::move(run));
  run_in_scratch(*engine);
  if (!end) throw RunError("the run ended before enough was measured");
  Measurement out = between(pipeline, *begin, *end);
  out.memory = std::move(memory);
  out.threads = engine->info().threads;
  out.batch = engine->info().batch;
  const ordered_json stats = engine->stats_json();
  out.slots = stats["buffers"]["groups"];
  out.bytes = stats["buffers"]["bytes"];
  if (stats.contains("recordings")) {
    out.played = stats["recordings"].value("played", int64_t{0});
    out.submitted = stats["recordings"].value("submitted", int64_t{0});
  }
  return out;
}

Comparison compare(CheckedPipeline pipeline, const MeasureOptions& options, double host, double device) {
  make_endless(pipeline.run);
  std::atomic<bool> stop{false};
  Slowdown slowdown;
  Turns turns(slowdown, host, device, options.seconds);
  const TemporaryFolder scratch;
  EngineOptions run{.threads = options.threads,
                    .slowdown = &slowdown,
                    .wraps = true,
                    .cpu_readings = CpuReadings::all,
                    .directory = scratch.path().string(),
                    .stop = &stop};
  run.on_step = [&](const StepContext& context) {
    if (!stop && context.seconds > options.warm_up && turns.step(context)) stop = true;
  };
  Engine engine(pipeline, std::move(run));
  run_in_scratch(engine);
  if (!stop) throw RunError("the run ended before enough was measured");
  return turns.result();
}

}  // namespace flowrun::app
