// The tokens that a pass through a model sees: for plans, not for measurements.
#pragma once

#include <cstdint>

#include "graph/contract/planned.h"

namespace flowrun::model {

using flowrun::Cost, flowrun::MaskCounts;

/// One pass of a model over one image, or one row of it.
struct Pass {
  MaskCounts masks;
  bool whole = false;       ///< an encoder sees all patches, not the visible ones alone
  double side = 0;          ///< of the pictures, pixels; 0: the encoder's usual side
  int64_t blocks = 0;       ///< of an encoder; 0: all
  int64_t class_token = 0;  ///< tokens before the patches that come in to a predictor: the class token,
  int64_t prefix = 0;       ///< and with the registers
  int element = 4;          ///< bytes of a number in products: 4, or 2 under bf16. The residual stream and norms take 4
};

}  // namespace flowrun::model
