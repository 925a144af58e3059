#pragma once

#include <cstdint>
#include <string>

#include "nodes/host_memory.h"

namespace flowrun {

namespace kernels {
struct Backend;
}

/// libflowrun_cuda.so, beside the program: what needs CUDA's own libraries. It is not linked, because it brings gigabytes
/// of them along; opened at the first get().
struct CudaModule {
  std::string missing;  // why there is no CUDA; empty when there is
  int (*devices)() = nullptr;
  void (*enter)(int device) = nullptr;
  void (*leave)() = nullptr;
  void (*range_push)(const char*, int64_t) = nullptr;
  void (*range_pop)() = nullptr;
  /// Points at an intrusive_ptr<c10d::Store>; writes an intrusive_ptr<c10d::Backend>. Throws what c10d throws.
  void (*nccl)(const void* store, int rank, int world, double timeout, void* backend) = nullptr;

  PinnedMemory pinned;
  int64_t (*synchronisations)() = nullptr;
  const kernels::Backend* (*kernels)() = nullptr;

  static const CudaModule& get();
};

}  // namespace flowrun
