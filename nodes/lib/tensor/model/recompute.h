// Passes that keep their inputs alone, and run again for their backward pass: less memory for more time.
#pragma once

#include <functional>
#include <vector>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::model {

/// The outputs of work(inputs), of which the backward pass runs `work` once more. `parameters` are leaves that work reads besides and that
/// get gradients; they must not change in between. `work` must be a pure function; it is called with autocast as it is now, any thread.
/// Values and gradients are those of work itself, bit for bit.
std::vector<Tensor> recomputed(const std::vector<Tensor>& inputs, const std::vector<Tensor>& parameters,
                               std::function<std::vector<Tensor>(const std::vector<Tensor>& inputs)> work);

}  // namespace flowrun::model
