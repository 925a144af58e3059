// The device's thread: how many threads an operation may use, which device, which precision.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <atomic>

#include "graph/contract/device.h"
#include "nodes/lib/host/device/cuda_module.h"
#include "nodes/lib/host/device/host_memory.h"
#include "nodes/lib/tensor/device/pace.h"
#include "nodes/lib/tensor/device/recording.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun {
namespace {

class TensorRuntime final : public DeviceRuntime {
 public:
  void resolve(RunParams& run) override {
    if (run.device == "auto") run.device = CudaModule::get().missing.empty() ? "cuda" : "cpu";
    if (run.device == "cuda" && !CudaModule::get().missing.empty()) {
      throw PipelineError("error: run.device is cuda, but " + CudaModule::get().missing);
    }
    const bool cuda = run.device == "cuda";
    if (cuda && local_rank_ >= CudaModule::get().devices()) {
      throw PipelineError("error: rank " + std::to_string(local_rank_) + " of this machine has no GPU of its own: it has " +
                          std::to_string(CudaModule::get().devices()) + ", but " + std::to_string(local_world_) + " ranks");
    }
    // On CPUs bf16 is slower where it is emulated, and was 1.4 times slower for these models on one with AMX.
    if (run.precision == "auto") run.precision = cuda ? "bf16" : "fp32";
    if (run.precision == "tf32" && !cuda) {
      throw PipelineError("error: run.precision is tf32, which only GPUs have; on the CPU use fp32, or bf16 where the processor has it");
    }
    if (cuda) pinned_memory() = &CudaModule::get().pinned;
    const int cores = std::max(1, available_cores() / local_world_);
    if (run.intra_op <= 0) run.intra_op = cuda ? 1 : cores - cores / 4;  // under four cores: all
  }

  void share_machine(int local_rank, int local_world) override {
    local_rank_ = local_rank, local_world_ = local_world;
    gpu_of_rank() = local_rank;
  }

  void enter(const RunParams& run) override {
    cuda_ = run.device == "cuda";
    if (cuda_) CudaModule::get().enter(local_rank_);
    set_threads(static_cast<int>(run.intra_op));
    if (cuda_) choose_algorithms(run.precision);
    const auto device = cuda_ ? at::kCUDA : at::kCPU;
    at::autocast::set_autocast_dtype(device, at::kBFloat16);
    at::autocast::set_autocast_enabled(device, run.precision == "bf16");
    // The cache would keep casts of weights from before the update.
    at::autocast::set_autocast_cache_enabled(false);
  }

  void leave() override {
    pace_ = Pace();
    if (cuda_) CudaModule::get().leave();
  }

  void begin_range(const std::string& node, int64_t step) override {
    if (cuda_) CudaModule::get().range_push(node.c_str(), step);
  }

  void end_range() override {
    if (cuda_) CudaModule::get().range_pop();
  }

  /// Page-locked memory belongs to the current GPU: without this, every rank would open a context on the first GPU.
  void enter_data_thread() override {
    set_threads(1);
    if (pinned_memory() != nullptr) CudaModule::get().set_device(local_rank_);
  }

  std::string cannot_record(const RunParams& run) const override { return recording::recorder(run.device) != nullptr ? "" : "recording needs a GPU"; }

  size_t recordings(const RunParams& run) const override { return recording::recorder(run.device)->capacity(); }

  Recorded record(const std::function<void()>& work, bool compare) override {
    recording::Recorder* const recorder = recording::recorder(cuda_ ? "cuda" : "cpu");
    if (recorder == nullptr) return DeviceRuntime::record(work, compare);
    const int64_t before = waits();
    Recorded out = recording::record(*recorder, work, compare);
    waits_of_recordings_ += waits() - before;
    return out;
  }

  void group_submitted() override {
    if (cuda_) pace_.submitted(at::kCUDA);
  }

  int64_t synchronisations() const override { return waits() - waits_of_recordings_; }

 private:
  static int64_t waits() { return CudaModule::get().synchronisations ? CudaModule::get().synchronisations() : 0; }

  static void choose_algorithms(const std::string& precision) {
    at::Context& context = at::globalContext();
    context.setAllowTF32CuBLAS(precision != "fp32");
    context.setAllowTF32CuDNN(precision != "fp32");
    // cuDNN's attention makes a plan for each shape, which takes about a second (modelscope/FunASR issue 3704), and masks have
    // more than a hundred shapes. Flash attention takes any.
    context.setSDPUseCuDNN(false);
  }

  /// The number of this thread. At a thread's first query LibTorch returns the number set last by any thread: so it is
  /// queried first.
  static void set_threads(int count) {
    if (at::get_num_threads() != count) at::set_num_threads(count);
  }

  static thread_local bool cuda_;  // for the device's thread: runs in one process may differ
  static thread_local Pace pace_;
  int local_rank_ = 0, local_world_ = 1;
  std::atomic<int64_t> waits_of_recordings_{0};
};

thread_local bool TensorRuntime::cuda_ = false;
thread_local Pace TensorRuntime::pace_;

const bool registered = [] {
  static TensorRuntime runtime;
  register_device_runtime(runtime);
  return true;
}();

}  // namespace
}  // namespace flowrun
