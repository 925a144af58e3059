// Copies values of the host to the device without a wait.
#pragma once

#include "nodes/lib/host/device/host_memory.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun {

/// A copy on `device` of values in page-locked memory (on the CPU: in any memory), submitted to the current CUDA stream. The
/// memory's cache keeps it until the copy is done, so it may be freed at once, but not written to.
Tensor send_batch(const void* values, at::IntArrayRef shape, at::ScalarType type, at::Device device);

/// The same for values in any memory, which may be written to at once: they are copied to page-locked memory first. For small
/// tensors.
Tensor send(const void* values, at::IntArrayRef shape, at::ScalarType type, at::Device device);
/// On the CPU the tensor itself.
Tensor send(const Tensor& host, at::Device device);

}  // namespace flowrun
