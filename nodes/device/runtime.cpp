// The device's thread: how many threads an operation may use, which device, which precision.
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>

#include "graph/device.h"
#include "nodes/tensor.h"

namespace flowrun {
namespace {

/// bf16 products are worth while only where the hardware has them: emulated, a step takes three times as long.
bool cpu_has_bf16() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("flags")) return line.find("avx512_bf16") != std::string::npos || line.find("amx_bf16") != std::string::npos;
  }
  return false;
}

/// libflowrun_cuda.so, beside the program. It is not linked, because it brings gigabytes of libraries along.
struct CudaModule {
  std::string missing;  // why there is no CUDA; empty when there is
  void (*enter)() = nullptr;
  void (*leave)() = nullptr;
  void (*range_push)(const char*, int64_t) = nullptr;
  void (*range_pop)() = nullptr;

  static const CudaModule& get() {
    static const CudaModule module = load();
    return module;
  }

  static CudaModule load() {
    CudaModule module;
#if FLOWRUN_WITH_CUDA
    // Asking the driver first costs nothing on machines without one.
    void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (driver == nullptr) return module.missing = "no NVIDIA driver (libcuda.so.1) on this machine", module;
    dlclose(driver);
    const auto program = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    void* library = dlopen((program / "libflowrun_cuda.so").c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) return module.missing = dlerror(), module;
    const auto devices = reinterpret_cast<int (*)()>(dlsym(library, "flowrun_cuda_devices"));
    module.enter = reinterpret_cast<void (*)()>(dlsym(library, "flowrun_cuda_enter"));
    module.leave = reinterpret_cast<void (*)()>(dlsym(library, "flowrun_cuda_leave"));
    module.range_push = reinterpret_cast<void (*)(const char*, int64_t)>(dlsym(library, "flowrun_cuda_range_push"));
    module.range_pop = reinterpret_cast<void (*)()>(dlsym(library, "flowrun_cuda_range_pop"));
    if (devices() == 0) module.missing = "the NVIDIA driver shows no GPU";
#else
    module.missing = "this program was built without CUDA, because there was no nvcc: install the CUDA 13.0 toolkit and build again";
#endif
    return module;
  }
};

class TensorRuntime final : public DeviceRuntime {
 public:
  void resolve(RunParams& run) override {
    if (run.device == "auto") run.device = CudaModule::get().missing.empty() ? "cuda" : "cpu";
    if (run.device == "cuda" && !CudaModule::get().missing.empty()) {
      throw PipelineError("error: run.device is cuda, but " + CudaModule::get().missing);
    }
    const bool cuda = run.device == "cuda";
    if (run.precision == "auto") run.precision = cuda || cpu_has_bf16() ? "bf16" : "fp32";
    if (run.intra_op <= 0) run.intra_op = cuda ? 1 : available_cores() - available_cores() / 4;  // under four cores: all
  }

  void enter(const RunParams& run) override {
    cuda_ = run.device == "cuda";
    if (cuda_) CudaModule::get().enter();
    set_threads(static_cast<int>(run.intra_op));
    const auto device = cuda_ ? at::kCUDA : at::kCPU;
    at::autocast::set_autocast_dtype(device, at::kBFloat16);
    at::autocast::set_autocast_enabled(device, run.precision == "bf16");
    // The cache would keep casts of weights that the update then changes.
    at::autocast::set_autocast_cache_enabled(false);
  }

  void leave() override {
    if (cuda_) CudaModule::get().leave();
  }

  void begin_range(const std::string& node, int64_t step) override {
    if (cuda_) CudaModule::get().range_push(node.c_str(), step);
  }

  void end_range() override {
    if (cuda_) CudaModule::get().range_pop();
  }

  void enter_data_thread() override { set_threads(1); }

 private:
  /// Of this thread. LibTorch gives a thread at its first question the number that was set last, by whatever thread: so it
  /// is asked first.
  static void set_threads(int count) {
    if (at::get_num_threads() != count) at::set_num_threads(count);
  }

  static thread_local bool cuda_;  // of the device's thread: runs in one process may differ
};

thread_local bool TensorRuntime::cuda_ = false;

const bool registered = [] {
  static TensorRuntime runtime;
  register_device_runtime(runtime);
  return true;
}();

}  // namespace
}  // namespace flowrun
