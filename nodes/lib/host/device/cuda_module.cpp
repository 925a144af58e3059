#include "nodes/lib/host/device/cuda_module.h"

#include <dlfcn.h>

#include "graph/contract/own_library.h"

namespace flowrun {
namespace {

template <class Function>
void find(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
}

CudaModule load() {
  CudaModule module;
#if FLOWRUN_WITH_CUDA
  // Looking for the driver first costs nothing on machines without one.
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (driver == nullptr) return module.missing = "no NVIDIA driver (libcuda.so.1) on this machine", module;
  dlclose(driver);
  offer_own_symbols();
  void* library = dlopen((own_folder() / "libflowrun_cuda.so").c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) return module.missing = dlerror(), module;
  find(library, "flowrun_cuda_devices", module.devices);
  find(library, "flowrun_cuda_memory", module.memory);
  find(library, "flowrun_cuda_enter", module.enter);
  find(library, "flowrun_cuda_leave", module.leave);
  find(library, "flowrun_cuda_range_push", module.range_push);
  find(library, "flowrun_cuda_range_pop", module.range_pop);
  find(library, "flowrun_cuda_nccl", module.nccl);
  find(library, "flowrun_cuda_allocate_pinned", module.pinned.allocate);
  find(library, "flowrun_cuda_free_pinned", module.pinned.free);
  find(library, "flowrun_cuda_synchronisations", module.synchronisations);
  find(library, "flowrun_cuda_kernels", module.kernels);
  find(library, "flowrun_cuda_set_device", module.set_device);
  find(library, "flowrun_cuda_graph_prepare", module.graph_prepare);
  find(library, "flowrun_cuda_graph_begin", module.graph_begin);
  find(library, "flowrun_cuda_graph_end", module.graph_end);
  find(library, "flowrun_cuda_graph_play", module.graph_play);
  find(library, "flowrun_cuda_graph_free", module.graph_free);
  find(library, "flowrun_cuda_jpeg", module.jpeg);
  if (module.devices() == 0) module.missing = "the NVIDIA driver shows no GPU";
#else
  module.missing = "this program was built without CUDA, because there was no nvcc: install the CUDA 13.0 toolkit and build again";
#endif
  return module;
}

}  // namespace

const CudaModule& CudaModule::get() {
  static const CudaModule module = load();
  return module;
}

}  // namespace flowrun
