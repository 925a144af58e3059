// libflowrun_cuda.so: what needs CUDA's own headers and libraries. Opened by nodes/device/runtime.cpp when a run asks
// for the GPU; loading it brings libtorch_cuda in, whose operators then serve every tensor on the device.
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

extern "C" {

int flowrun_cuda_devices() { return c10::cuda::device_count(); }

/// On the device's thread: all its work goes to one stream of its own, not to the legacy stream that orders everything.
void flowrun_cuda_enter() { c10::cuda::setCurrentCUDAStream(c10::cuda::getStreamFromPool(/*isHighPriority=*/true, 0)); }

void flowrun_cuda_leave() { c10::cuda::getCurrentCUDAStream(0).synchronize(); }
}
