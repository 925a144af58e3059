// The host's cores as a device.
#include <algorithm>
#include <optional>

#include "nodes/lib/tensor/device/barrier_waits.h"
#include "nodes/lib/tensor/device/tensor_device.h"

namespace flowrun {
namespace {

class CpuDevice final : public TensorDevice {
 public:
  // bf16 is slower where it is emulated, and was 1.4 times slower for these models on a processor with AMX.
  CpuDevice() : TensorDevice({.name = "cpu", .precisions = {"fp32", "bf16"}}) {}

  void resolve(RunParams& run) override {
    const int cores = std::max(1, available_cores() / local_world());
    if (run.intra_op <= 0) run.intra_op = cores - cores / 4;  // under four cores: all
  }

  void enter(const RunParams& run) override {
    TensorDevice::enter(run);
    if (run.intra_op > 1) waits_.emplace();
  }
  void leave() override { waits_.reset(); }

 private:
  static thread_local std::optional<BarrierWaits> waits_;  // of the device's thread: runs side by side have one each
};

thread_local std::optional<BarrierWaits> CpuDevice::waits_;

const bool cpu_registered = [] {
  static CpuDevice device;
  register_device(device);
  return true;
}();

}  // namespace
}  // namespace flowrun
