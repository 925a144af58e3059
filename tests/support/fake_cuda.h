// The few functions of CUDA's runtime that nodes/lib/tensor/cuda/nvjpeg.cpp calls, on two fake devices in the host's memory. Work
// waits in its CUDA stream until the caller synchronises, so code that forgets to synchronise reads old bytes.
#pragma once

#include <cuda_runtime_api.h>
#include <functional>

namespace flowrun::fake_cuda {

void submit(cudaStream_t stream, std::function<void()> work);
/// The device that this thread has set; -1: it has set none.
int device();
/// Streams, events and pieces of memory that exist.
int alive();
/// Pieces of device memory that can still be had.
void limit(int pieces);

}  // namespace flowrun::fake_cuda
