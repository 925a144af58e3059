#include "support/fake_cuda.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <utility>

namespace {

std::atomic<int> count{0}, left{1 << 30};
thread_local int current = -1;

}  // namespace

struct CUstream_st {
  std::mutex mutex;
  std::deque<std::function<void()>> work;

  void run() {
    const std::lock_guard lock(mutex);
    for (; !work.empty(); work.pop_front()) work.front()();
  }
};

struct CUevent_st {
  cudaStream_t stream = nullptr;
};

namespace flowrun::fake_cuda {

void submit(cudaStream_t stream, std::function<void()> work) {
  const std::lock_guard lock(stream->mutex);
  stream->work.push_back(std::move(work));
}
int device() { return current; }
int alive() { return count; }
void limit(int pieces) { left = pieces; }

}  // namespace flowrun::fake_cuda

extern "C" {

cudaError_t cudaGetDeviceCount(int* devices) { return *devices = 2, cudaSuccess; }
cudaError_t cudaSetDevice(int device) { return device >= 0 && device < 2 ? (current = device, cudaSuccess) : cudaErrorInvalidDevice; }
cudaError_t cudaGetLastError() { return cudaSuccess; }
const char* cudaGetErrorString(cudaError_t) { return "no more memory"; }

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  if (left.fetch_sub(1) <= 0) return cudaErrorMemoryAllocation;
  *memory = std::malloc(bytes);
  std::memset(*memory, 0xee, bytes);
  return ++count, cudaSuccess;
}
cudaError_t cudaFree(void* memory) {
  if (memory != nullptr) --count, std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  *memory = std::malloc(bytes);
  return ++count, cudaSuccess;
}
cudaError_t cudaFreeHost(void* memory) { return cudaFree(memory); }

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) { return *least = 0, *greatest = -5, cudaSuccess; }
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned, int) {
  *stream = new CUstream_st;
  return ++count, cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) { return stream->run(), cudaSuccess; }
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return --count, cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return ++count, cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) { return event->stream = stream, cudaSuccess; }
cudaError_t cudaEventSynchronize(cudaEvent_t event) { return event->stream->run(), cudaSuccess; }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return --count, cudaSuccess;
}

cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width, size_t height, cudaMemcpyKind,
                              cudaStream_t stream) {
  if (width > to_pitch || width > from_pitch) return cudaErrorInvalidValue;
  flowrun::fake_cuda::submit(stream, [=] {
    for (size_t y = 0; y < height; ++y) std::memcpy(static_cast<char*>(to) + y * to_pitch, static_cast<const char*>(from) + y * from_pitch, width);
  });
  return cudaSuccess;
}
}
