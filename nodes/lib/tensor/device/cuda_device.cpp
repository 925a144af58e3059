// NVIDIA GPUs. What needs CUDA's own libraries is behind CudaModule.
#include <ATen/Context.h>

#include "graph/text/error.h"
#include "nodes/lib/host/device/cuda_module.h"
#include "nodes/lib/host/device/host_memory.h"
#include "nodes/lib/tensor/device/pace.h"
#include "nodes/lib/tensor/device/tensor_device.h"

namespace flowrun {
namespace {

void choose_algorithms(const std::string& precision) {
  at::Context& context = at::globalContext();
  context.setAllowTF32CuBLAS(precision != "fp32");
  context.setAllowTF32CuDNN(precision != "fp32");
  // cuDNN's attention makes a plan for each shape, which takes about a second (modelscope/FunASR issue 3704), and masks have
  // more than a hundred shapes. Flash attention takes any.
  context.setSDPUseCuDNN(false);
}

class CudaDevice final : public TensorDevice {
 public:
  CudaDevice() : TensorDevice({.name = "cuda", .on_host = false, .preference = 1, .precisions = {"bf16", "fp32", "tf32"}}) {}

  std::string missing() const override { return CudaModule::get().missing; }

  int64_t memory() const override { return CudaModule::get().missing.empty() ? CudaModule::get().memory(local_rank()) : 0; }

  void resolve(RunParams& run) override {
    if (local_rank() >= CudaModule::get().devices()) {
      throw PipelineError("error: rank " + std::to_string(local_rank()) + " of this machine has no GPU of its own: it has " +
                          std::to_string(CudaModule::get().devices()) + ", but " + std::to_string(local_world()) + " ranks");
    }
    pinned_memory() = &CudaModule::get().pinned;
    if (run.intra_op <= 0) run.intra_op = 1;
  }

  void share_machine(int local_rank, int local_world) override {
    TensorDevice::share_machine(local_rank, local_world);
    gpu_of_rank() = local_rank;
  }

  void enter(const RunParams& run) override {
    CudaModule::get().enter(local_rank());
    TensorDevice::enter(run);
    choose_algorithms(run.precision);
  }

  void leave() override {
    pace_ = Pace();
    CudaModule::get().leave();
  }

  void begin_range(const std::string& node, int64_t step) override { CudaModule::get().range_push(node.c_str(), step); }
  void end_range() override { CudaModule::get().range_pop(); }

  /// Page-locked memory belongs to the current GPU: without this, every rank would open a context on the first GPU.
  void enter_data_thread() override {
    TensorDevice::enter_data_thread();
    CudaModule::get().set_device(local_rank());
  }

  void group_submitted() override { pace_.submitted(type()); }

 protected:
  int64_t waits() const override { return CudaModule::get().synchronisations ? CudaModule::get().synchronisations() : 0; }

 private:
  static thread_local Pace pace_;  // of the device's thread
};

thread_local Pace CudaDevice::pace_;

const bool cuda_registered = [] {
  static CudaDevice device;
  register_device(device);
  return true;
}();

}  // namespace
}  // namespace flowrun
