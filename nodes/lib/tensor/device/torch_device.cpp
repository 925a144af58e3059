#include "nodes/lib/tensor/device/torch_device.h"

#include "nodes/lib/host/device/cuda_module.h"

namespace flowrun {

at::Device torch_device(const RunInfo& run) {
  return run.device == "cuda" ? at::Device(at::kCUDA, static_cast<at::DeviceIndex>(gpu_of_rank().load())) : at::Device(at::kCPU);
}

}  // namespace flowrun
