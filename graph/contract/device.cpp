#include "graph/contract/device.h"

#include <algorithm>
#include <map>
#include <oneapi/tbb/info.h>

#include "graph/text/error.h"

namespace flowrun {
namespace {

std::map<std::string, DeviceRuntime*>& registry() {
  static DeviceRuntime plain;
  static std::map<std::string, DeviceRuntime*> kinds = {{plain.info().name, &plain}};
  return kinds;
}

std::string names() {
  std::string out;
  for (const DeviceRuntime* kind : devices()) out += (out.empty() ? "" : ", ") + kind->info().name;
  return out;
}

DeviceRuntime& best_usable() {
  const std::vector<DeviceRuntime*> all = devices();
  for (auto kind = all.rbegin(); kind != all.rend(); ++kind) {
    if ((*kind)->missing().empty()) return **kind;
  }
  return device_runtime(host_device());
}

/// The precision that "auto" stands for, or the one asked for if the device has it.
std::string precision_on(const DeviceInfo& device, const std::string& asked) {
  if (asked == "auto") return device.precisions.front();
  std::string all;
  for (const std::string& one : device.precisions) {
    if (one == asked) return asked;
    all += (all.empty() ? "" : ", ") + one;
  }
  throw PipelineError("error: run.precision is " + asked + ", which run.device " + device.name + " does not have; it has " + all);
}

}  // namespace

std::string DeviceRuntime::missing() const { return ""; }
int64_t DeviceRuntime::memory() const { return 0; }
void DeviceRuntime::resolve(RunParams& run) {
  if (run.intra_op <= 0) run.intra_op = available_cores();
}
void DeviceRuntime::share_machine(int, int) {}
void DeviceRuntime::enter(const RunParams&) {}
void DeviceRuntime::leave() {}
void DeviceRuntime::without_gradients(const std::function<void()>& work) { work(); }
void DeviceRuntime::begin_range(const std::string&, int64_t) {}
void DeviceRuntime::end_range() {}
std::string DeviceRuntime::cannot_record() const { return "recording needs a GPU"; }
size_t DeviceRuntime::recordings() const { return 0; }
Recorded DeviceRuntime::record(const std::function<void()>& work, bool) {
  work();
  return {nullptr, cannot_record()};
}
void DeviceRuntime::group_submitted() {}
int64_t DeviceRuntime::synchronisations() const { return 0; }
void DeviceRuntime::enter_data_thread() {}

int available_cores() { return std::max(1, oneapi::tbb::info::default_concurrency()); }

void register_device(DeviceRuntime& runtime) { registry()[runtime.info().name] = &runtime; }

DeviceRuntime& device_runtime(const std::string& name) {
  const auto found = registry().find(name);
  if (found == registry().end()) throw PipelineError("error: there is no device \"" + name + "\" in this program; there are: " + names());
  return *found->second;
}

std::vector<DeviceRuntime*> devices() {
  std::vector<DeviceRuntime*> out;
  for (const auto& [name, kind] : registry()) out.push_back(kind);
  std::stable_sort(out.begin(), out.end(),
                   [](const DeviceRuntime* a, const DeviceRuntime* b) { return a->info().preference < b->info().preference; });
  return out;
}

const std::string& host_device() {
  for (const DeviceRuntime* kind : devices()) {
    if (kind->info().on_host) return kind->info().name;
  }
  throw PipelineError("error: this program has no device on the host");
}

void resolve_device(RunParams& run) {
  DeviceRuntime& device = run.device == "auto" ? best_usable() : device_runtime(run.device);
  if (const std::string why = device.missing(); !why.empty()) throw PipelineError("error: run.device is " + run.device + ", but " + why);
  run.device = device.info().name;
  run.precision = precision_on(device.info(), run.precision);
  device.resolve(run);
}

void share_machine(int local_rank, int local_world) {
  for (DeviceRuntime* kind : devices()) kind->share_machine(local_rank, local_world);
}

}  // namespace flowrun
