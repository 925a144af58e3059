#include "nodes/lib/tensor/device/torch_device.h"

#include "nodes/lib/host/device/cuda_module.h"

namespace flowrun {

at::Device torch_device(const RunInfo& run) {
  const at::Device device(run.device);
  return device.is_cpu() ? device : at::Device(device.type(), static_cast<at::DeviceIndex>(gpu_of_rank().load()));
}

}  // namespace flowrun
