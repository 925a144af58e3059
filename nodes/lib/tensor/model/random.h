// Random numbers drawn on the device, by address.
#pragma once

#include <cstdint>
#include <vector>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::model {

/// Normal numbers with mean 0. They depend only on key, shape and kind of device (PyTorch's generators of the CPU and
/// of CUDA give different numbers): for noise that no sample keeps, where drawing on the host would cost a copy.
Tensor keyed_normal(const std::vector<int64_t>& shape, double deviation, uint64_t key, const at::TensorOptions& options);

}  // namespace flowrun::model
