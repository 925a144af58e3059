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

/// The GPU of this rank, if each rank has one: its index among the ranks of this machine. Set it before anything is opened.
inline std::atomic<int>& gpu_of_rank() {
  static std::atomic<int> gpu{0};
  return gpu;
}

/// libflowrun_cuda.so, beside the program: the code that needs CUDA's own libraries. It is not linked, because these are
/// gigabytes; the first get() opens it.
struct CudaModule {
  std::string missing;  // why there is no CUDA; empty: there is
  int (*devices)() = nullptr;
  int64_t (*memory)(int device) = nullptr;  // bytes
  void (*enter)(int device) = nullptr;
  /// Any thread: its allocations and copies then use that device.
  void (*set_device)(int device) = nullptr;
  void (*leave)() = nullptr;
  void (*range_push)(const char*, int64_t) = nullptr;
  void (*range_pop)() = nullptr;
  /// Points at an intrusive_ptr<c10d::Store>; writes an intrusive_ptr<c10d::Backend>. Throws c10d's exceptions.
  void (*nccl)(const void* store, int rank, int world, double timeout, void* backend) = nullptr;

  PinnedMemory pinned;
  int64_t (*synchronisations)() = nullptr;
  const kernels::Backend* (*kernels)() = nullptr;
  /// The work of the current CUDA stream is done; memory that it takes from here on measures the next graph.
  void (*graph_prepare)() = nullptr;
  /// Between begin and end the current CUDA stream is recorded. All three throw c10's exceptions; after end or begin has thrown,
  /// the current CUDA stream and its memory are as if nothing had been tried.
  void* (*graph_begin)() = nullptr;
  void (*graph_end)(void* graph) = nullptr;
  void (*graph_play)(void* graph) = nullptr;
  void (*graph_free)(void* graph) = nullptr;
  /// nvJPEG. Null where its library is missing; `why`, of `room` bytes, then says so.
  const JpegDevice* (*jpeg)(char* why, size_t room) = nullptr;

  static const CudaModule& get();
};

}  // namespace flowrun
