// profile --input-only: how many images a second the host side of a pipeline can give, and what bounds it.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <sys/resource.h>

#include "graph/device.h"
#include "graph/engine.h"
#include "tools/flowrun/input_side.h"
#include "tools/flowrun/load.h"

namespace flowrun::tool {
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

/// What is read at the beginning and at the end of the time that counts.
struct Reading {
  double seconds;      // since the engine began
  double cpu_seconds;  // of the process
  double delayed;      // seconds in which its threads could have run, but other programs had the cores
  int64_t images;
  ordered_json nodes;  // the engine's statistics
};

double seconds_of(const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6; }

double delayed_seconds() {
  double sum = 0;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", error)) {
    std::ifstream line(task.path() / "schedstat");  // nanoseconds on a core, and waiting for one
    uint64_t ran = 0, waited = 0;
    if (line >> ran >> waited) sum += static_cast<double>(waited) * 1e-9;
  }
  return sum;
}

Reading read(const Engine& engine, const StepContext& context) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {context.seconds, seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime), delayed_seconds(), context.images, engine.stats_json()["nodes"]};
}

/// Counts for `seconds` after half a second of warming up, in whole steps.
std::pair<Reading, Reading> measure(CheckedPipeline& pipeline, const ProfileArgs& args, int& threads) {
  std::atomic<bool> stop{false};
  std::optional<Reading> begin, end;
  std::unique_ptr<Engine> engine;
  EngineOptions options{.threads = args.threads, .counts_cpu = true, .stop = &stop};
  options.on_step = [&](const StepContext& context) {
    if (!begin && (args.images > 0 ? context.images >= args.skip : context.seconds > 0.5)) {
      begin = read(*engine, context);
    } else if (begin && !end &&
               (args.images > 0 ? context.images - begin->images >= args.images : context.seconds - begin->seconds >= args.seconds)) {
      end = read(*engine, context);
      stop.store(true);
    }
  };
  engine = std::make_unique<Engine>(pipeline, std::move(options));
  threads = engine->info().threads;
  engine->run();
  return {*begin, *end};
}

/// Share of the threads' time that the source spent waiting for its files. All nodes lose their core to others alike, but
/// only the source waits for the storage: it is what its time on a core falls short, beyond the others' loss.
double waiting_share(const CheckedPipeline& pipeline, const Reading& begin, const Reading& end, double thread_seconds) {
  const auto spent = [&](const CheckedNode& node, const char* what) {
    return end.nodes[node.name].value(what, 0.0) - begin.nodes[node.name].value(what, 0.0);
  };
  double source_busy = 0, source_cpu = 0, others_busy = 0, others_cpu = 0;
  for (const CheckedNode& node : pipeline.nodes) {
    if (node.scope() > Scope::batch) continue;
    (node.scope() == Scope::source ? source_busy : others_busy) += spent(node, "busy");
    (node.scope() == Scope::source ? source_cpu : others_cpu) += spent(node, "cpu");
  }
  const double on_core = others_busy > 0 ? std::min(1.0, others_cpu / others_busy) : 1;
  return std::max(0.0, source_busy * on_core - source_cpu) / thread_seconds;
}

ordered_json result_of(const CheckedPipeline& pipeline, const Reading& begin, const Reading& end, int threads) {
  const double seconds = end.seconds - begin.seconds, thread_seconds = seconds * threads;
  const auto images = static_cast<double>(end.images - begin.images);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  ordered_json nodes = ordered_json::array();
  double most = -1;
  std::string slowest;
  for (const CheckedNode& node : pipeline.nodes) {
    const double busy = end.nodes[node.name]["busy"].get<double>() - begin.nodes[node.name]["busy"].get<double>();
    nodes.push_back({{"node", node.name},
                     {"type", node.type->info.type},
                     {"ms_per_image", 1e3 * busy / images},
                     {"share", busy / thread_seconds},
                     {"p50_ms", 1e3 * end.nodes[node.name]["p50"].get<double>()},
                     {"p95_ms", 1e3 * end.nodes[node.name]["p95"].get<double>()}});
    if (busy > most) most = busy, slowest = node.name;
  }
  const double cpu_share = (end.cpu_seconds - begin.cpu_seconds) / thread_seconds;
  const double delayed_share = (end.delayed - begin.delayed) / thread_seconds;
  const double idle_share = std::max(0.0, 1 - cpu_share - delayed_share);
  const double waiting = std::min(idle_share, waiting_share(pipeline, begin, end, thread_seconds));
  const bool waits = waiting > 0.2;
  return {{"images_per_second", images / seconds},
          {"images_per_second_per_thread", images / thread_seconds},
          {"threads", threads},
          {"images", end.images - begin.images},
          {"seconds", seconds},
          {"cpu_share", cpu_share},
          {"delayed_share", delayed_share},
          {"peak_mib", static_cast<double>(usage.ru_maxrss) / 1024},
          {"bound_by", waits ? "storage" : "cpu"},
          {"slowest", slowest},
          {"waiting_share", waiting},
          {"nodes", nodes}};
}

void print(const std::string& file, const ordered_json& result) {
  std::printf("input side of %s: %lld images in %.1f s on %d thread%s\n", file.c_str(), result["images"].get<long long>(),
              result["seconds"].get<double>(), result["threads"].get<int>(), result["threads"] == 1 ? "" : "s");
  std::printf("%.0f images/s, %.0f for each thread; peak memory %.0f MiB\n\n", result["images_per_second"].get<double>(),
              result["images_per_second_per_thread"].get<double>(), result["peak_mib"].get<double>());
  std::printf("%-16s %-24s %12s %8s %10s %10s\n", "node", "type", "ms per image", "share", "p50 ms", "p95 ms");
  for (const auto& node : result["nodes"]) {
    std::printf("%-16s %-24s %12.3f %6.1f %% %10.3f %10.3f\n", node["node"].get<std::string>().c_str(), node["type"].get<std::string>().c_str(),
                node["ms_per_image"].get<double>(), 100 * node["share"].get<double>(), node["p50_ms"].get<double>(), node["p95_ms"].get<double>());
  }
  if (result["bound_by"] == "storage") {
    std::printf("\nbound by the storage: %.0f %% of the threads' time is spent waiting for files; more threads, shards or faster storage help\n",
                100 * result["waiting_share"].get<double>());
  } else {
    std::printf("\nbound by the CPU, which was busy %.0f %% of the threads' time; most of it in %s\n", 100 * result["cpu_share"].get<double>(),
                result["slowest"].get<std::string>().c_str());
  }
  if (result["delayed_share"] > 0.1) {
    std::printf("for %.0f %% of the time other programs had the cores: the numbers would be higher without them\n",
                100 * result["delayed_share"].get<double>());
  }
}

}  // namespace

int profile(const ProfileArgs& args) {
  CheckedPipeline all = load_checked(args.pipeline);
  const int source = choose_source(all, args.source);
  CheckedPipeline pipeline = input_side(std::move(all), source, args.upload);
  pipeline.run.epochs = INT32_MAX;  // it never ends
  pipeline.run.steps = 0;
  device_runtime().resolve(pipeline.run);
  std::fprintf(stderr, "measuring for %g s\n", args.seconds);
  int threads = 0;
  const auto [begin, end] = measure(pipeline, args, threads);
  const ordered_json result = result_of(pipeline, begin, end, threads);
  if (args.json) {
    std::cout << result.dump(2) << "\n";
  } else {
    print(args.pipeline.file, result);
  }
  return 0;
}

}  // namespace flowrun::tool
