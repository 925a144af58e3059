// The kernels of nodes/lib/tensor/kernels/backend.h as launches on a stream. C++17, without LibTorch: nvcc reads it.
#pragma once

#include <cstddef>
#include <cuda_runtime_api.h>

#include "nodes/lib/tensor/kernels/backend.h"

namespace flowrun::kernels::cuda {

/// Launches on the current device and waits for nothing.
cudaError_t launch(const TargetRows& arguments, cudaStream_t stream);
cudaError_t launch(const PatchRows& arguments, cudaStream_t stream);
cudaError_t launch(const NormaliseBytes& arguments, cudaStream_t stream);
cudaError_t launch(const SquaredErrorGradient& arguments, cudaStream_t stream);
cudaError_t launch(const AddNorm& arguments, cudaStream_t stream);
cudaError_t launch(const BiasGelu& arguments, cudaStream_t stream);

/// Kernels that add up over rows: every block writes its partial sums into the scratch memory, of at least this many
/// bytes and aligned to 256, and a second kernel adds them up in a fixed order. So equal launches give equal bits.
size_t scratch_bytes(const SquaredError& arguments);
size_t scratch_bytes(const AddNormBackward& arguments);
size_t scratch_bytes(const BiasGeluBackward& arguments);
cudaError_t launch(const SquaredError& arguments, cudaStream_t stream, void* scratch);
cudaError_t launch(const AddNormBackward& arguments, cudaStream_t stream, void* scratch);
cudaError_t launch(const BiasGeluBackward& arguments, cudaStream_t stream, void* scratch);

}  // namespace flowrun::kernels::cuda
