// The tokens that a pass through a model sees: for plans, not for measurements.
#pragma once

#include <cstdint>

#include "graph/contract/planned.h"

namespace flowrun::model {

using flowrun::Cost, flowrun::MaskCounts;

/// The tokens of an encoder that are read: all, the class token alone, or the patches alone.
enum class Read { all, cls, patches };

/// One pass of a model over one image, or one row of it.
struct Pass {
  MaskCounts masks;
  bool whole = false;       ///< an encoder sees all patches, not the visible ones alone
  double side = 0;          ///< of the pictures, pixels; 0: the encoder's usual side
  int64_t blocks = 0;       ///< of an encoder; 0: all
  Read read = Read::all;    ///< of an encoder
  double last_rows = 0;     ///< tokens whose output the last of these blocks computes; 0: those that are read
  bool last_mlp = true;     ///< whether the last of these blocks runs its MLP
  int64_t class_token = 0;  ///< tokens before the patches that come in to a predictor: the class token,
  int64_t prefix = 0;       ///< and with the registers
  int element = 4;          ///< bytes of a number in products: 4, or 2 under bf16. The residual stream and norms take 4
};

}  // namespace flowrun::model
