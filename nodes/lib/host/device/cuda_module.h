#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "nodes/lib/host/device/host_memory.h"

namespace flowrun {

struct JpegDevice;
namespace kernels {
struct Backend;
}

/// Which of the machine's GPUs is this rank's, where each rank has one: its place among the ranks here. Set before anything
/// is opened.
inline std::atomic<int>& gpu_of_rank() {
  static std::atomic<int> gpu{0};
  return gpu;
}

/// libflowrun_cuda.so, beside the program: what needs CUDA's own libraries. It is not linked, because it brings gigabytes
/// of them along; opened at the first get().
struct CudaModule {
  std::string missing;  // why there is no CUDA; empty when there is
  int (*devices)() = nullptr;
  void (*enter)(int device) = nullptr;
  /// Any thread: what it allocates, and where it copies, is of that device.
  void (*set_device)(int device) = nullptr;
  void (*leave)() = nullptr;
  void (*range_push)(const char*, int64_t) = nullptr;
  void (*range_pop)() = nullptr;
  /// Points at an intrusive_ptr<c10d::Store>; writes an intrusive_ptr<c10d::Backend>. Throws what c10d throws.
  void (*nccl)(const void* store, int rank, int world, double timeout, void* backend) = nullptr;

  PinnedMemory pinned;
  int64_t (*synchronisations)() = nullptr;
  const kernels::Backend* (*kernels)() = nullptr;
  /// The current stream's work is done; what it takes from here on is the next graph's measure.
  void (*graph_prepare)() = nullptr;
  /// Between begin and end the current stream is recorded. All three throw what c10 throws; after end has thrown, or after begin,
  /// the current stream and its memory are as if nothing had been tried.
  void* (*graph_begin)() = nullptr;
  void (*graph_end)(void* graph) = nullptr;
  void (*graph_play)(void* graph) = nullptr;
  void (*graph_free)(void* graph) = nullptr;
  /// nvJPEG. Null where its library is missing; `why`, of `room` bytes, then says so.
  const JpegDevice* (*jpeg)(char* why, size_t room) = nullptr;

  static const CudaModule& get();
};

}  // namespace flowrun
