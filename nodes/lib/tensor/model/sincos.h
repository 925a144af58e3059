// The fixed two-dimensional sine-cosine position table of MAE and I-JEPA.
#pragma once

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::model {

/// Table [grid * grid, width] of `dtype`, computed in float64, on the host.
///
/// Row r * grid + c is [sin(c w), cos(c w), sin(r w), cos(r w)], each width/4 long, with w_k = 10000^(-k / (width/4)):
/// the column comes first, as in the code of both. Throws std::invalid_argument unless width is a multiple of 4.
Tensor sincos_table(int64_t grid, int64_t width, at::ScalarType dtype = at::kFloat);

}  // namespace flowrun::model
