// The tensor type of every node, and the legend of the shape suffixes in names.
//
// A tensor's name ends in its axes, outermost first: `x_BND` is [B, N, D]. The letters mean the same everywhere:
//
//   B  images of the group (mask group, or batch)      D  width of the encoder
//   N  patches of an image, grid x grid, row by row    P  width of the predictor
//   S  tokens of a sequence: class, registers, patches H  attention heads
//   K  visible patches of an image                     E  width of one head, D / H or P / H
//   R  target regions of an image                      L  blocks of the encoder (its depth)
//   M  patches of a region                             T  taps: hidden blocks that are predicted
//   C  channels                                        O  outputs of the predictor, T * D
//   F  values of one patch of pixels, C * patch^2
//
// Patch indices are int64, row * grid + column. Floating tensors are float32, or float64 in reference tests.
#pragma once

#include <ATen/core/Tensor.h>

namespace flowrun {
using at::Tensor;
}  // namespace flowrun
