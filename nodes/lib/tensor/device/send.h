// Values of the host, brought to the device without a wait.
#pragma once

#include "nodes/lib/host/device/host_memory.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun {

/// A copy on `device` of values that lie in page-locked memory, or on the CPU anywhere: submitted to the current stream. The
/// memory's cache keeps it until the copy is done, so it may be freed at once, but not written to.
Tensor send_batch(const void* values, at::IntArrayRef shape, at::ScalarType type, at::Device device);

/// The same of values in any memory, which may be written to at once: they are moved to page-locked memory first. For what is
/// small.
Tensor send(const void* values, at::IntArrayRef shape, at::ScalarType type, at::Device device);
/// On the CPU the tensor itself.
Tensor send(const Tensor& host, at::Device device);

}  // namespace flowrun
