// The kernels on LibTorch's current stream, with memory of its allocator.
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>

#include "nodes/lib/tensor/cuda/launch.h"

namespace flowrun::kernels::cuda {
namespace {

template <class Arguments>
void run(const Arguments& arguments) {
  C10_CUDA_CHECK(launch(arguments, c10::cuda::getCurrentCUDAStream().stream()));
}

/// The scratch memory is freed at once: its next user writes to it on the same CUDA stream, so later.
template <class Arguments>
void run_with_scratch(const Arguments& arguments) {
  const c10::DataPtr scratch = c10::cuda::CUDACachingAllocator::get()->allocate(scratch_bytes(arguments));
  C10_CUDA_CHECK(launch(arguments, c10::cuda::getCurrentCUDAStream().stream(), scratch.get()));
}

}  // namespace
}  // namespace flowrun::kernels::cuda

extern "C" const flowrun::kernels::Backend* flowrun_cuda_kernels() {
  using namespace flowrun::kernels;
  static const Backend backend = {cuda::run<TargetRows>,
                                  cuda::run<PatchRows>,
                                  cuda::run<NormaliseBytes>,
                                  cuda::run_with_scratch<SquaredError>,
                                  cuda::run<SquaredErrorGradient>,
                                  cuda::run<AddNorm>,
                                  cuda::run_with_scratch<AddNormBackward>,
                                  cuda::run<BiasGelu>,
                                  cuda::run_with_scratch<BiasGeluBackward>,
                                  nullptr,
                                  nullptr};
  return &backend;
}
