#include "graph/device.h"

#include <algorithm>
#include <thread>

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
  if (run.intra_op == 0) run.intra_op = std::max(1u, std::thread::hardware_concurrency());
}
void DeviceRuntime::enter(const RunParams&) {}
void DeviceRuntime::leave() {}
void DeviceRuntime::enter_data_thread() {}

void register_device_runtime(DeviceRuntime& runtime) { current() = &runtime; }
DeviceRuntime& device_runtime() { return *current(); }

}  // namespace flowrun
