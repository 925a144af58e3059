// What a pass through a model sees, and what it costs: for plans, not for measurements.
#pragma once

#include <cstdint>

namespace flowrun::model {

/// Of one image (of one row, where images have several masks). Counts may be means over masks, so they are no integers.
///
/// Counted are the products of the linear layers and of the attention, with two operations for a multiplication and its
/// addition. Norms, GELU, softmax and whatever moves data are not: on a GPU they take time, but no products.
struct Cost {
  double flops = 0;    ///< of the forward pass; the backward pass has twice as many
  double saved = 0;    ///< bytes that a forward pass keeps for its backward pass
  double working = 0;  ///< bytes besides, at its widest place
  Cost& operator+=(const Cost& other);
  Cost times(double count) const { return {flops * count, saved * count, working * count}; }
};

/// What masks leave of an image.
struct MaskCounts {
  double visible = 0;  ///< K
  double regions = 0;  ///< R
  double patches = 0;  ///< M
  double tokens() const { return regions * patches; }
};

/// One pass of a model over one image, or one row of it.
struct Pass {
  MaskCounts masks;
  bool whole = false;       ///< an encoder sees all patches, not the visible ones alone
  int64_t blocks = 0;       ///< of an encoder; 0: all
  int64_t class_token = 0;  ///< tokens before the patches that come in to a predictor: the class token,
  int64_t prefix = 0;       ///< and with the registers
  int element = 4;          ///< bytes of a number in products: 4, or 2 under bf16. The residual stream and norms take 4
};

}  // namespace flowrun::model
