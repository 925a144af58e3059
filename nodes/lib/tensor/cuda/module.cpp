// libflowrun_cuda.so: the code that needs CUDA's own headers and libraries. nodes/lib/host/device/cuda_module.cpp opens it when a
// run asks for the GPU; this loads libtorch_cuda, whose operators then serve every tensor on the device.
#include <ATen/core/CachingHostAllocator.h>
#include <atomic>
#include <c10/core/AllocatorConfig.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <nvtx3/nvToolsExt.h>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#include <unordered_map>

namespace {

std::atomic<int64_t> synchronisations{0};

/// LibTorch warns of every operation that makes the host wait. These warnings are counted, others passed on.
class CountSynchronisations final : public c10::WarningHandler {
  void process(const c10::Warning& warning) override {
    if (warning.msg().find("synchronizing CUDA operation") == std::string::npos) return c10::WarningHandler::process(warning);
    synchronisations.fetch_add(1, std::memory_order_relaxed);
  }
};

/// Page-locked blocks in use.
struct Pinned {
  std::mutex mutex;
  std::unordered_map<void*, c10::DataPtr> blocks;
};
Pinned& pinned() {
  static auto* const all = new Pinned;  // never destroyed: batches may outlive what is static
  return *all;
}

}  // namespace

extern "C" {

int64_t flowrun_cuda_synchronisations() { return synchronisations.load(std::memory_order_relaxed); }

/// From LibTorch's cache: a block comes back only when the copies that read it are done.
void* flowrun_cuda_allocate_pinned(size_t bytes) {
  c10::DataPtr block = at::getHostAllocator(at::kCUDA)->allocate(bytes);
  void* const memory = block.get();
  if (memory == nullptr) return ::operator new(bytes);  // nothing was asked for
  const std::lock_guard lock(pinned().mutex);
  pinned().blocks.emplace(memory, std::move(block));
  return memory;
}

bool flowrun_cuda_free_pinned(void* memory) {
  c10::DataPtr block;
  {
    const std::lock_guard lock(pinned().mutex);
    const auto found = pinned().blocks.find(memory);
    if (found == pinned().blocks.end()) return false;
    block = std::move(found->second);
    pinned().blocks.erase(found);
  }
  return true;
}

int flowrun_cuda_devices() { return c10::cuda::device_count(); }

int64_t flowrun_cuda_memory(int device) {
  cudaDeviceProp properties{};
  return cudaGetDeviceProperties(&properties, device) == cudaSuccess ? static_cast<int64_t>(properties.totalGlobalMem) : 0;
}

void flowrun_cuda_set_device(int device) { c10::cuda::set_device(static_cast<c10::DeviceIndex>(device)); }

/// On the device's thread: all its work goes to one CUDA stream of its own, not to the legacy stream, which orders
/// everything.
void flowrun_cuda_enter(int device) {
  // Masks change the shapes of most tensors from step to step: segments that can grow are reused for all of them. LibTorch's
  // own environment variable has precedence.
  if (std::getenv("PYTORCH_CUDA_ALLOC_CONF") == nullptr && std::getenv("PYTORCH_ALLOC_CONF") == nullptr) {
    c10::CachingAllocator::setAllocatorSettings("expandable_segments:True");
  }
  c10::cuda::set_device(static_cast<c10::DeviceIndex>(device));
  c10::cuda::setCurrentCUDAStream(c10::cuda::getStreamFromPool(/*isHighPriority=*/true, static_cast<c10::DeviceIndex>(device)));
  static CountSynchronisations counter;
  c10::WarningUtils::set_warning_handler(&counter);  // of this thread
  c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_WARN);
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
  // The CUDA stream of training has the highest priority, and so must this one: otherwise an exchange would begin only
  // when training leaves room, at its end.
  const auto options = c10d::ProcessGroupNCCL::Options::create(/*is_high_priority_stream=*/true);
  options->timeout = std::chrono::milliseconds(static_cast<int64_t>(timeout * 1000));
  *static_cast<c10::intrusive_ptr<c10d::Backend>*>(backend) =
      c10::make_intrusive<c10d::ProcessGroupNCCL>(*static_cast<const c10::intrusive_ptr<c10d::Store>*>(store), rank, world, options);
}
}
