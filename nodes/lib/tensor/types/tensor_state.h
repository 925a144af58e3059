// Tensors as the engine's checkpoints see them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "graph/contract/state.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun {

/// Host copies, or the tensors themselves where they are packed on the host already. Float32, float64 and int64.
State to_state(const std::vector<std::pair<std::string, Tensor>>& tensors);

/// A host tensor that shares the array's memory; not to be written to.
Tensor to_tensor(const StateArray& array);

/// Whether it holds neither NaN nor infinity; integers always.
bool is_finite(const StateArray& array);

}  // namespace flowrun
