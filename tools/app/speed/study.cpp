#include "tools/app/speed/study.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "graph/contract/context.h"
#include "graph/contract/device.h"
#include "io/run/run_directory.h"
#include "tools/app/json_files.h"
#include "tools/app/load/load.h"
#include "tools/app/load/part.h"
#include "tools/app/text.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

/// The pipeline without checkpoints: these are as rare as the user wants, and would fill the disk here.
CheckedPipeline training_side(CheckedPipeline all) {
  const int source = all.training_source;
  std::vector<bool> keep(all.nodes.size());
  for (const int n : all.nodes_of(source)) keep[static_cast<size_t>(n)] = true;
  std::set<int> other;
  for (size_t n = 0; n < all.nodes.size(); ++n) {
    if (all.nodes[n].scope() != Scope::source || static_cast<int>(n) == source) continue;
    for (const int m : all.nodes_of(static_cast<int>(n))) other.insert(m);
  }
  for (size_t n = 0; n < all.nodes.size(); ++n) {
    const CheckedNode& node = all.nodes[n];
    if (node.scope() == Scope::step && !other.contains(static_cast<int>(n))) keep[n] = true;
    if (node.scope() == Scope::evaluation || std::strcmp(node.type->info.type, "report.checkpoint") == 0) keep[n] = false;
  }
  return part_of(std::move(all), source, keep);
}

/// The host's nodes that the device's nodes read: when replayed, only the device works.
std::vector<std::string> last_host_nodes(const CheckedPipeline& pipeline) {
  std::set<std::string> names;
  for (const CheckedNode& node : pipeline.nodes) {
    if (node.scope() < Scope::device) continue;
    for (const PortSource& from : node.sources) {
      if (from.node >= 0 && pipeline.nodes[static_cast<size_t>(from.node)].scope() < Scope::device) {
        names.insert(pipeline.nodes[static_cast<size_t>(from.node)].name);
      }
    }
  }
  return {names.begin(), names.end()};
}

}  // namespace

Measurement Study::measure_whole(const MeasureOptions& options) const {
  CheckedPipeline pipeline = training_side(load_());
  resolve_device(pipeline.run);
  return measure(std::move(pipeline), options);
}

Comparison Study::compare_slowed(const MeasureOptions& options, double host, double device) const {
  CheckedPipeline pipeline = training_side(load_());
  resolve_device(pipeline.run);
  return compare(std::move(pipeline), options, host, device);
}

Measurement Study::measure_device(MeasureOptions options) const {
  options.stubs = last_host_nodes(training_side(load_()));
  return measure_whole(options);
}

StudyResult Study::run() const {
  StudyResult out{};
  CheckedPipeline pipeline = training_side(load_());
  resolve_device(pipeline.run);
  out.cores = available_cores();
  out.device = pipeline.run.device + " " + pipeline.run.precision;
  out.on_host = device_runtime(pipeline.run.device).info().on_host;
  out.intra_op = pipeline.run.intra_op;
  const bool halves =
      options_.halves && std::any_of(pipeline.nodes.begin(), pipeline.nodes.end(), [](const CheckedNode& n) { return !n.uses.empty(); });
  const double whole_seconds = halves ? options_.seconds * 0.6 : options_.seconds, half_seconds = options_.seconds * 0.2;
  options_.say("measuring the whole" + (options_.steps > 0 || options_.images > 0 ? "" : print(" for %g s", whole_seconds)));
  out.whole = measure(std::move(pipeline), {.threads = options_.threads,
                                            .seconds = whole_seconds,
                                            .steps = options_.steps,
                                            .skip = options_.skip,
                                            .images = options_.images,
                                            .stubs = options_.stubs,
                                            .leaks = options_.leaks});
  if (!halves) return out;
  options_.say(print("measuring the input side for %g s", half_seconds));
  CheckedPipeline all = load_();
  const int source = all.training_source;
  const std::vector<bool> keep = input_side(all, source, false);
  CheckedPipeline input = host_part_of(std::move(all), source, keep);
  out.input = measure(std::move(input), {.threads = out.whole.threads, .seconds = half_seconds});
  options_.say(print("measuring the device side for %g s", half_seconds));
  out.device_side = measure_device({.threads = out.whole.threads, .seconds = half_seconds});
  out.contention = measure_contention(out, half_seconds);
  return out;
}

double Study::measure_contention(const StudyResult& found, double seconds) const {
  const ServiceTimes times = found.forecaster().times();
  if (!found.on_host || times.host_nodes <= 0) return 0;
  // Data nodes that take half as long as the device in all: the device still sets the pace.
  const double factor = 1 + times.device / (2 * times.host_nodes);
  const bool device_leads = (times.host_cpu + times.host_waiting + times.device / 2) / found.whole.threads < times.device;
  if (!device_leads || times.device_cpu / times.device + found.whole.threads <= found.cores) return 0;
  options_.say(print("measuring how data threads hold up the device for %g s", seconds));
  const Comparison rates = compare_slowed({.threads = found.whole.threads, .seconds = seconds}, factor, 1);
  return std::max(0.0, (1 / rates.changed - 1 / rates.as_it_is) / (times.device / 2));
}

std::optional<StudyResult> study_of_run(const std::filesystem::path& run, bool trust) {
  const io::RunPaths paths(run);
  const ordered_json stats = read_json(paths.stats);
  std::vector<double> rates;
  each_line(paths.metrics, [&](const ordered_json& line) {
    if (const double rate = line.value("images_per_second", 0.0); rate > 0) rates.push_back(rate);
  });
  if (rates.size() < 3 || stats.is_null() || !stats.contains("cores") || !stats.contains("cpu_seconds")) return std::nullopt;
  std::nth_element(rates.begin(), rates.begin() + static_cast<std::ptrdiff_t>(rates.size() / 2), rates.end());
  const CheckedPipeline pipeline = training_side(load_checked({.file = paths.pipeline.string(), .sets = {}, .trust = trust}));
  StudyResult out{};
  out.cores = stats["cores"];
  out.device = pipeline.run.device + " " + pipeline.run.precision;
  out.on_host = device_runtime(pipeline.run.device).info().on_host;
  out.intra_op = pipeline.run.intra_op;
  Measurement& whole = out.whole;
  whole.threads = stats["threads"];
  whole.slots = stats["buffers"]["groups"];
  whole.bytes = stats["buffers"]["bytes"];
  for (const CheckedNode& node : pipeline.nodes) {
    if (!stats["nodes"].contains(node.name)) return std::nullopt;
    const ordered_json& of = stats["nodes"][node.name];
    whole.nodes.push_back({.name = node.name,
                           .type = node.type->info.type,
                           .scope = node.scope(),
                           .calls = of["count"],
                           .failures = of["failures"],
                           .busy = of["busy"],
                           .cpu = 0,
                           .wait_input = of["wait_input"],
                           .wait_slot = of["wait_slot"],
                           .wait_device = of["wait_device"],
                           .p50 = of["p50"],
                           .p95 = of["p95"]});
    if (const auto grouping = node.node->grouping()) {
      whole.images = of["count"].get<int64_t>() * grouping->group;
      whole.batch = grouping->size;
    }
  }
  if (whole.images == 0) return std::nullopt;
  const auto images = static_cast<double>(whole.images);
  whole.steps = whole.images / whole.batch;
  whole.seconds = images / rates[rates.size() / 2];  // of training: the median step knows nothing of starts and evaluations
  whole.cpu_seconds = stats["cpu_seconds"].get<double>() * whole.seconds / stats["seconds"].get<double>();
  out.times.emplace();
  // On the CPU the device's thread uses at least one core; the rest belongs to the host, as far as that was busy.
  const double host = whole.sum(false, &NodeTimes::busy) / images, cpu = whole.cpu_seconds / images;
  out.times->device = whole.sum(true, &NodeTimes::busy) / images;
  out.times->host_cpu = out.times->host_nodes = std::clamp(cpu - (out.on_host ? out.times->device : 0), 0.0, host);
  out.times->host_waiting = host - out.times->host_cpu;
  out.times->device_cpu = cpu - out.times->host_cpu;
  return out;
}

double StudyResult::device_busy() const { return whole.sum(true, &NodeTimes::busy) / whole.seconds; }
double StudyResult::data_busy() const { return whole.sum(false, &NodeTimes::busy) / (whole.seconds * whole.threads); }
double StudyResult::parked_share() const { return whole.sum(false, &NodeTimes::wait_slot) / (whole.seconds * (whole.threads + 1)); }

double StudyResult::waiting_batches() const {
  double waited = 0;
  for (const NodeTimes& node : whole.nodes) {
    if (node.scope == Scope::device) {
      waited = node.wait_device;  // the first device node is the one that reads the host's outputs
      break;
    }
  }
  return waited / whole.seconds;
}

Forecaster StudyResult::forecaster() const {
  if (times) return {*times, {cores, static_cast<double>(whole.threads)}, whole.rate()};
  return Forecaster(whole, input ? &*input : nullptr, device_side ? &*device_side : nullptr, cores).contending(contention);
}

const NodeTimes* StudyResult::slowest(bool device) const {
  const NodeTimes* out = nullptr;
  for (const NodeTimes& node : whole.nodes) {
    if ((node.scope >= Scope::device) == device && (out == nullptr || node.busy > out->busy)) out = &node;
  }
  return out;
}

double StudyResult::starved_share() const { return whole.sum(true, &NodeTimes::wait_input) / whole.seconds; }

std::string StudyResult::bound() const {
  if (starved_share() > 0.1) {
    if (whole.waiting_for_storage() > 0.3) return "storage";
    return parked_share() > 0.3 ? "order" : "data threads";
  }
  if (on_host && device_busy() > 0.85 && data_busy() > 0.85) return "cores";
  return device_busy() > 0.6 ? "device" : "order";
}

std::string StudyResult::verdict() const {
  const std::string by = bound();
  const NodeTimes* const host_node = slowest(false);
  const NodeTimes* const device_node = slowest(true);
  const auto share = [&](const NodeTimes* node, bool of_device) { return 100 * node->busy / whole.sum(of_device, &NodeTimes::busy); };
  if (by == "storage") return print("the storage: data threads wait for files %.0f %% of their time", 100 * whole.waiting_for_storage());
  if (by == "device") {
    std::string text = print("the device, busy %.0f %% of the time; most of it in %s (%.0f %%)", 100 * device_busy(), device_node->name.c_str(),
                             share(device_node, true));
    if (input) text += print("; the input side alone would give %.1f times as much", input->rate() / whole.rate());
    return text;
  }
  if (by == "data threads") {
    return print("the data threads, busy %.0f %% of the time; most of it in %s (%.0f %%); the device waits for them %.0f %% of the time",
                 100 * data_busy(), host_node->name.c_str(), share(host_node, false), 100 * starved_share());
  }
  if (by == "cores") {
    return print("the cores, which data threads and device share: %s needs most of the one, %s of the other", host_node->name.c_str(),
                 device_node->name.c_str());
  }
  return print("none is busy all the time (data threads %.0f %%, device %.0f %%): they wait for each other, or other programs had the cores",
               100 * data_busy(), 100 * device_busy());
}

std::vector<std::string> StudyResult::advice() const {
  std::vector<std::string> out;
  if (!input || !device_side) return out;
  const Forecaster forecast = forecaster();
  const Setting now = forecast.measured();
  const double rate = whole.rate();
  const auto gain = [&](const Setting& setting) { return forecast.at(setting).images_per_second / rate - 1; };
  const Setting more_threads{now.cores, now.threads + 1}, more_cores{now.cores + 1, now.threads + 1}, faster{now.cores, now.threads, 2};
  const std::string by = bound();
  if (by == "storage") out.push_back("put the data into shards (flowrun pack), or on faster storage; run.read_ahead hides latency");
  if (gain(more_threads) > 0.03) out.push_back(print("one more data thread (--threads %.0f): %+.0f %%", now.threads + 1, 100 * gain(more_threads)));
  if (gain(more_cores) > std::max(0.03, gain(more_threads) + 0.02)) {
    out.push_back(print("one more core, for data: %+.0f %%", 100 * gain(more_cores)));
  }
  if (gain(faster) > 0.03) out.push_back(print("a device twice as fast: %+.0f %%", 100 * gain(faster)));
  const NodeTimes* const host_node = slowest(false);
  if ((by == "data threads" || by == "cores") && host_node->type == "image.decode") {
    out.push_back("files that decode faster: flowrun pack --tiled (docs/performance.md)");
  }
  return out;
}

}  // namespace flowrun::app
