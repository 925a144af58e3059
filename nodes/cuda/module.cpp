// libflowrun_cuda.so: what needs CUDA's own headers and libraries. Opened by nodes/device/runtime.cpp when a run asks
// for the GPU; loading it brings libtorch_cuda in, whose operators then serve every tensor on the device.
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#include <nvtx3/nvToolsExt.h>

extern "C" {

int flowrun_cuda_devices() { return c10::cuda::device_count(); }

/// On the device's thread: all its work goes to one stream of its own, not to the legacy stream that orders everything.
void flowrun_cuda_enter() { c10::cuda::setCurrentCUDAStream(c10::cuda::getStreamFromPool(/*isHighPriority=*/true, 0)); }

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

void flowrun_cuda_leave() { c10::cuda::getCurrentCUDAStream(0).synchronize(); }
}
