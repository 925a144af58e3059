#include "tools/app/plan/devices.h"

#include "graph/text/error.h"

namespace flowrun::app {

const std::vector<DeviceFacts>& devices() {
  static const std::vector<DeviceFacts> all = {
      // NVIDIA H100 Tensor Core GPU Datasheet (SXM5), which gives rates with sparsity: half of them here. NVLink 900 GB/s
      // both ways. DGX H100 Datasheet: eight ports of 400 Gb/s for eight GPUs, two processors of 56 cores.
      {"h100", "NVIDIA H100 SXM, 80 GB", 80, 989.4, 66.9, 494.7, 3350, 450, 50, 8, 112, "NVIDIA H100 and DGX H100 datasheets"},
      // NVIDIA H200 Tensor Core GPU Datasheet (SXM), likewise; DGX H200 Datasheet.
      {"h200", "NVIDIA H200 SXM, 141 GB", 141, 989.4, 66.9, 494.7, 4800, 450, 50, 8, 112, "NVIDIA H200 and DGX H200 datasheets"},
      // NVIDIA A100 Tensor Core GPU Datasheet (SXM4 80 GB): NVLink 600 GB/s both ways. DGX A100 80GB Datasheet: eight ports
      // of 200 Gb/s for eight GPUs, two processors of 64 cores.
      {"a100", "NVIDIA A100 SXM, 80 GB", 80, 312, 19.5, 156, 2039, 300, 25, 8, 128, "NVIDIA A100 and DGX A100 datasheets"},
      // NVIDIA L40S Datasheet: rates with sparsity, halved here; PCIe 4.0 x16, 64 GB/s both ways. The machine is assumed:
      // four of them behind one port of 200 Gb/s, 64 cores.
      {"l40s", "NVIDIA L40S, 48 GB", 48, 362, 91.6, 183, 864, 32, 6.25, 4, 64,
       "NVIDIA L40S datasheet; a machine of four with one port of 200 Gb/s is assumed"},
      // Intel Xeon Platinum 8462Y+, from its public properties: 32 cores, here at 2 GHz under vector load; AVX-512 with two
      // units (64 fp32 operations a cycle), AMX (2048 bf16 operations a cycle); eight channels of DDR5-4800. Machine assumed:
      // one socket, 256 GB, 100 Gb/s.
      {"cpu", "a socket of 32 cores with AVX-512 and AMX", 256, 131, 4.1, 0, 307, 12.5, 12.5, 1, 32,
       "computed from public properties of Intel Xeon 8462Y+", /*on_host=*/true},
  };
  return all;
}

std::vector<std::string> device_names() {
  std::vector<std::string> names;
  for (const DeviceFacts& device : devices()) names.emplace_back(device.name);
  return names;
}

const DeviceFacts& find_device(const std::string& name) {
  for (const DeviceFacts& device : devices()) {
    if (device.name == name) return device;
  }
  throw PipelineError("error: there are no numbers for a device \"" + name + "\"; there are for " + join(device_names()));
}

}  // namespace flowrun::app
