#include "nodes/lib/tensor/device/tensor_device.h"

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>

#include "nodes/lib/tensor/device/recording.h"

namespace flowrun {
namespace {

/// The number of threads that work on an operation of this thread. LibTorch gives a thread the number that any thread set last, at the thread's first
/// query; its inline functions, as they are compiled into this library, do so once more, at the first at::parallel_for(). Both come before.
void set_threads(int count) {
  at::internal::lazy_init_num_threads();
  if (at::get_num_threads() != count) at::set_num_threads(count);
}

}  // namespace

TensorDevice::TensorDevice(DeviceInfo info) : DeviceRuntime(std::move(info)), type_(at::Device(DeviceRuntime::info().name).type()) {}

void TensorDevice::share_machine(int local_rank, int local_world) { local_rank_ = local_rank, local_world_ = local_world; }

void TensorDevice::enter(const RunParams& run) {
  set_threads(static_cast<int>(run.intra_op));
  at::autocast::set_autocast_dtype(type_, at::kBFloat16);
  at::autocast::set_autocast_enabled(type_, run.precision == "bf16");
  // The cache would keep casts of weights from before the update.
  at::autocast::set_autocast_cache_enabled(false);
}

void TensorDevice::enter_data_thread() { set_threads(1); }

void TensorDevice::without_gradients(const std::function<void()>& work) {
  const at::NoGradGuard no_grad;
  work();
}

std::string TensorDevice::cannot_record() const { return recording::recorder(info().name) != nullptr ? "" : DeviceRuntime::cannot_record(); }

size_t TensorDevice::recordings() const { return recording::recorder(info().name)->capacity(); }

Recorded TensorDevice::record(const std::function<void()>& work, bool compare) {
  recording::Recorder* const recorder = recording::recorder(info().name);
  if (recorder == nullptr) return DeviceRuntime::record(work, compare);
  const int64_t before = waits();
  Recorded out = recording::record(*recorder, work, compare);
  waits_of_recordings_ += waits() - before;
  return out;
}

int64_t TensorDevice::synchronisations() const { return waits() - waits_of_recordings_; }

}  // namespace flowrun
