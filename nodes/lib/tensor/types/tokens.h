// Whole sequences of an encoder.
#pragma once

#include "graph/contract/planned.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun {

/// All patches of images after the final norm, hidden ones too, in the encoder's order: row by row. With several views of a picture, or
/// several masks of an image, B counts these, those of a picture side by side. With a gradient history if the pass records one.
struct EncodedTokens {
  static constexpr const char* type_name = "tokens";
  Tensor cls_B1D;        // undefined without a class token
  Tensor patch_BND;      // float, or the precision of autocast
  Tensor registers_BRD;  // undefined without registers
  int64_t views = 1;
  static Planned planned(double images, double grid, double width) {
    Planned out = Planned::of({images, grid * grid, width}, "float32", 4);
    out.grid = grid, out.width = width, out.rows = images;
    return out;
  }
  void release() { cls_B1D.reset(), patch_BND.reset(), registers_BRD.reset(); }
};

}  // namespace flowrun
