// CUDA graphs of the work that the device's thread submits; see nodes/lib/tensor/device/cuda_graphs.cpp.
#include <ATen/core/CachingHostAllocator.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAStream.h>
#include <cstdio>
#include <cuda_runtime_api.h>
#include <functional>
#include <memory>
#include <stdexcept>

namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;

thread_local int64_t graphs = 0;        // alive
thread_local int64_t bytes_before = 0;  // in use when the pass that is measured began

using Kind = c10::CachingAllocator::StatType;

int64_t bytes(int64_t c10::CachingAllocator::Stat::*what, const c10::CachingAllocator::StatArray& of) {
  return of[static_cast<size_t>(Kind::AGGREGATE)].*what;
}

/// Makes room for a graph. Recorded work has its own memory, as much as the same work needs when it is submitted, and other shapes
/// are still submitted: throws if the GPU hasn't room for both. The first graph allocates the room; later graphs share it, but may
/// need some more.
void make_room() {
  using c10::CachingAllocator::Stat;
  const auto stats = allocator::getDeviceStats(c10::cuda::current_device());
  const int64_t in_use = bytes(&Stat::current, stats.allocated_bytes), pass = bytes(&Stat::peak, stats.allocated_bytes) - bytes_before;
  size_t free = 0, total = 0;
  C10_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  const int64_t room = static_cast<int64_t>(free) + bytes(&Stat::current, stats.reserved_bytes) - in_use;
  const bool is_first = graphs == 0;
  if (is_first || static_cast<int64_t>(free) < pass) {
    c10::cuda::getCurrentCUDAStream().synchronize();
    allocator::emptyCache();  // while something is recorded no memory can be given back
  }
  if (!is_first || 2 * pass < room - room / 20) return;
  char text[200];
  constexpr double gib = 1 << 30;
  std::snprintf(text, sizeof text, "the GPU has %.1f GiB left, but a pass that is submitted and one that is played would need %.1f GiB together",
                static_cast<double>(room) / gib, 2 * static_cast<double>(pass) / gib);
  throw std::runtime_error(text);
}

/// All graphs of a thread share their memory: they are played one after the other, and the results of one are read before
/// the next is played. Runs in one process have one thread each, and may play at the same time.
at::cuda::MempoolId_t pool() {
  static thread_local const at::cuda::MempoolId_t id = at::cuda::graph_pool_handle();
  return id;
}

void quietly(const std::function<void()>& work) {
  try {
    work();
  } catch (...) {  // the first failure is the one to report
  }
}

/// LibTorch 2.11 leaves its allocators in the middle of a capture that has failed (pytorch/pytorch issue 180395): memory of two
/// streams would never come back, and the first emptyCache() would end the process.
void abandon() {
  const c10::DeviceIndex device = c10::cuda::current_device();
  auto* const host = at::getHostAllocator(at::kCUDA);
  // The first of two throws where LibTorch came that far itself; the pool is then the graph's to release.
  quietly([&] { allocator::endAllocateToPool(device, pool()), allocator::releasePool(device, pool()); });
  quietly([&] { host->end_allocate_to_pool(pool()), host->release_pool(pool()); });
  cudaGetLastError();  // otherwise the next call would report it again
}

}  // namespace

extern "C" {

void flowrun_cuda_graph_prepare() {
  c10::cuda::getCurrentCUDAStream().synchronize();
  const auto device = c10::cuda::current_device();
  allocator::resetPeakStats(device);
  bytes_before = bytes(&c10::CachingAllocator::Stat::current, allocator::getDeviceStats(device).allocated_bytes);
}

/// Other threads continue to allocate and to query events meanwhile: the mode applies to this thread only.
void* flowrun_cuda_graph_begin() {
  make_room();
  auto graph = std::make_unique<at::cuda::CUDAGraph>();
  try {
    graph->capture_begin(pool(), cudaStreamCaptureModeThreadLocal);
  } catch (...) {
    abandon();
    throw;
  }
  ++graphs;
  return graph.release();
}

/// Throws if the graph can't be played. Free it in any case.
void flowrun_cuda_graph_end(void* graph) {
  try {
    static_cast<at::cuda::CUDAGraph*>(graph)->capture_end();
  } catch (...) {
    abandon();
    throw;
  }
}

void flowrun_cuda_graph_play(void* graph) { static_cast<at::cuda::CUDAGraph*>(graph)->replay(); }

/// Waits: it may be playing.
void flowrun_cuda_graph_free(void* graph) {
  c10::cuda::getCurrentCUDAStream().synchronize();
  delete static_cast<at::cuda::CUDAGraph*>(graph);
  --graphs;
}
}
