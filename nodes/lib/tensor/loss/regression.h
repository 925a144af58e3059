// Losses between a prediction and a target of the same shape. No graph knowledge.
#pragma once

#include <cstdint>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::loss {

enum class Kind {
  mse,        ///< (p - t)^2
  l1,         ///< |p - t|
  smooth_l1,  ///< 0.5 (p - t)^2 / beta below beta, |p - t| - beta / 2 above (torch.nn.SmoothL1Loss)
  cosine,     ///< 1 - cos(p, t) over the last axis; with parts, over each part's slice
};

struct Options {
  Kind kind = Kind::mse;
  double beta = 1;    ///< of smooth_l1
  int64_t parts = 1;  ///< equal slices of the last axis, for cosine and per_part
};

/// Mean over all elements (cosine: over all tokens and parts), a scalar; float32, or float64 if the inputs are. The squared
/// error has no gradient for the target. `parts` gets the result of per_part(), for mse from the same pass.
Tensor value(const Tensor& prediction, const Tensor& target, const Options& options, Tensor* parts = nullptr);

/// The mean of each part's slice of the last axis, [parts], on the inputs' device, without gradient.
Tensor per_part(const Tensor& prediction, const Tensor& target, const Options& options);

/// The mean squared error without its value: 0 forwards, but backwards bit for bit the gradient that the backward pass
/// of the value hands on. For steps whose loss is not read (the Bootleg paper calls it the no-forward loss).
Tensor mse_without_value(const Tensor& prediction, const Tensor& target);

}  // namespace flowrun::loss
