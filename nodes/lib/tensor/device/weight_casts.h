// Weights in autocast's type: cast once after each change, not once in each pass.
#pragma once

#include "nodes/lib/tensor/tensor.h"

namespace flowrun {

/// A float32 parameter in the type that autocast gives to operands on its device, with the gradient of a cast; the parameter
/// itself where autocast is off. The cast keeps its place in memory and follows the parameter's changes in place, so recorded
/// work may read it; refresh_casts() must then come before it is played. Changes are detected by the tensor's version: code that
/// writes to a parameter without LibTorch's operators must raise it. Device's thread only.
Tensor cast_weight(const Tensor& parameter);

/// Updates the casts of changed parameters. On the current CUDA stream, after all readers of the casts.
void refresh_casts();

}  // namespace flowrun
