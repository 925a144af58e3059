// CUDA graphs of the work that the device's thread submits; see nodes/device/cuda_graphs.cpp.
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAStream.h>
#include <cstdio>
#include <cuda_runtime_api.h>
#include <memory>
#include <stdexcept>

namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;

thread_local int64_t graphs = 0;  // alive

/// What the first graph records has memory of its own, as much as the same work takes when it is submitted; later graphs
/// share it. Throws where the GPU hasn't room for both.
void require_room() {
  size_t free = 0, total = 0;
  C10_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  const auto bytes =
      allocator::getDeviceStats(c10::cuda::current_device()).allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
  const double needed = static_cast<double>(bytes.peak) + static_cast<double>(bytes.peak - bytes.current);
  constexpr double gib = 1 << 30;
  if (graphs > 0 || needed < 0.9 * static_cast<double>(total)) return;
  char text[200];
  std::snprintf(text, sizeof text, "the GPU has %.1f GiB, but work that is submitted and work that is played would take %.1f GiB together",
                static_cast<double>(total) / gib, needed / gib);
  throw std::runtime_error(text);
}

/// All graphs of a thread share their memory: they are played one behind the other, and what one leaves for others to read
/// is read before the next is played. Runs in one process have a thread each, and may play at the same time.
at::cuda::MempoolId_t pool() {
  static thread_local const at::cuda::MempoolId_t id = at::cuda::graph_pool_handle();
  return id;
}

}  // namespace

extern "C" {

/// Other threads go on allocating and asking for events meanwhile: the mode is this thread's.
void* flowrun_cuda_graph_begin() {
  require_room();
  c10::cuda::getCurrentCUDAStream().synchronize();
  allocator::emptyCache();  // while something is recorded no memory can be given back
  auto graph = std::make_unique<at::cuda::CUDAGraph>();
  graph->capture_begin(pool(), cudaStreamCaptureModeThreadLocal);
  ++graphs;
  return graph.release();
}

/// Throws if the graph can't be played. Free it in any case.
void flowrun_cuda_graph_end(void* graph) {
  try {
    static_cast<at::cuda::CUDAGraph*>(graph)->capture_end();
  } catch (...) {
    cudaGetLastError();  // or the next call would report it once more
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
