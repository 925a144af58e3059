// libflowrun_cuda.so: what needs CUDA's own headers and libraries. Opened by nodes/device/runtime.cpp when a run asks
// for the GPU; loading it brings libtorch_cuda in, whose operators then serve every tensor on the device.
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#include <chrono>
#include <nvtx3/nvToolsExt.h>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

extern "C" {

int flowrun_cuda_devices() { return c10::cuda::device_count(); }

/// On the device's thread: all its work goes to one stream of its own, not to the legacy stream that orders everything.
void flowrun_cuda_enter(int device) {
  c10::cuda::set_device(static_cast<c10::DeviceIndex>(device));
  c10::cuda::setCurrentCUDAStream(c10::cuda::getStreamFromPool(/*isHighPriority=*/true, static_cast<c10::DeviceIndex>(device)));
}

/// NVTX: costs next to nothing unless Nsight Systems listens. The step is the range's payload, so that ranges of a node
/// have one name and are added up.
void flowrun_cuda_range_push(const char* node, int64_t step) {
  nvtxEventAttributes_t range{};
  range.version = NVTX_VERSION;
  range.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
  range.messageType = NVTX_MESSAGE_TYPE_ASCII;
  range.message.ascii = node;
  range.payloadType = NVTX_PAYLOAD_TYPE_INT64;
  range.payload.llValue = step;
  nvtxRangePushEx(&range);
}

void flowrun_cuda_range_pop() { nvtxRangePop(); }

void flowrun_cuda_leave() { c10::cuda::getCurrentCUDAStream().synchronize(); }

/// See CudaModule::nccl.
void flowrun_cuda_nccl(const void* store, int rank, int world, double timeout, void* backend) {
  const auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = std::chrono::milliseconds(static_cast<int64_t>(timeout * 1000));
  *static_cast<c10::intrusive_ptr<c10d::Backend>*>(backend) =
      c10::make_intrusive<c10d::ProcessGroupNCCL>(*static_cast<const c10::intrusive_ptr<c10d::Store>*>(store), rank, world, options);
}
}
