#include "graph/contract/device.h"

#include <algorithm>
#include <oneapi/tbb/info.h>

namespace flowrun {
namespace {

DeviceRuntime*& current() {
  static DeviceRuntime plain;
  static DeviceRuntime* runtime = &plain;
  return runtime;
}

}  // namespace

void DeviceRuntime::resolve(RunParams& run) {
  if (run.device == "cuda") throw PipelineError("run.device is cuda, but this program is built without tensors");
  run.device = "cpu";
  if (run.precision == "auto") run.precision = "fp32";
  if (run.intra_op <= 0) run.intra_op = available_cores();
}
void DeviceRuntime::share_machine(int, int) {}
void DeviceRuntime::enter(const RunParams&) {}
void DeviceRuntime::leave() {}
void DeviceRuntime::begin_range(const std::string&, int64_t) {}
void DeviceRuntime::end_range() {}
std::string DeviceRuntime::cannot_record(const RunParams&) const { return "recording needs a GPU"; }
size_t DeviceRuntime::recordings(const RunParams&) const { return 0; }
Recorded DeviceRuntime::record(const std::function<void()>& work, bool) {
  work();
  return {nullptr, "recording needs a GPU"};
}
void DeviceRuntime::group_submitted() {}
int64_t DeviceRuntime::synchronisations() const { return 0; }
void DeviceRuntime::enter_data_thread() {}

int available_cores() { return std::max(1, oneapi::tbb::info::default_concurrency()); }

void register_device_runtime(DeviceRuntime& runtime) { current() = &runtime; }
DeviceRuntime& device_runtime() { return *current(); }

}  // namespace flowrun
