// The operations of a training step between its matrix products, each in one pass over memory; the same on the CPU and
// on CUDA, chosen by the device of the tensors.
//
// Tensors are float32, bfloat16 or float64, parameters float32 or float64. Sums and statistics are taken in float32, or
// float64 if the tensors are. All functions record gradients where grad mode is on, unless they say otherwise; a second
// derivative is refused by autograd. They may run concurrently. On the CPU they use LibTorch's threads: sums over rows
// depend only on their number. std::invalid_argument is thrown for types and shapes that don't fit.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::kernels {

/// Rows of several tensors [B, N, D] (or slices of longer sequences) at index [B, n] int64, each row standardised separately
/// (variance + eps under the root; over D - 1 if `unbiased`), side by side: [B, n, T D], float32 or float64. No gradient.
Tensor standardised_rows(const std::vector<Tensor>& taps_BND, const Tensor& index, double eps, bool unbiased);

/// Pixels of patches, in the order of a convolution's weight: images_BCHW [B, C, S, S] -> [B, n, C patch patch], at index
/// [B, n] int64, or of all patches row by row if it is undefined. Not for images that require gradients.
Tensor patch_rows(const Tensor& images_BCHW, int64_t patch, const Tensor& index);

/// Bytes [images, height, width, 3] on the device (or host) to floats [images, 3, height, width]: in * scale[c] + shift[c],
/// rounded after the product and after the sum: the same numbers everywhere.
Tensor normalised(const uint8_t* bytes, int64_t images, int64_t height, int64_t width, const std::vector<float>& scale,
                  const std::vector<float>& shift, at::Device device);

/// Mean squared error of each of `parts` slices of the last axis, [parts] float64. No gradient.
Tensor squared_error(const Tensor& prediction, const Tensor& target, int64_t parts);

/// `value`, a scalar, with the gradient that the mean of (prediction - target)^2 has for the prediction.
Tensor with_squared_error_gradient(const Tensor& value, const Tensor& prediction, const Tensor& target);

/// A residual stream [.., D] whose last addition waits for the pass that norms the sum.
struct Stream {
  Tensor x;
  Tensor branch;       ///< [.., D], to be added to x; undefined: nothing
  Tensor bias;         ///< [D], to be added too, with the branch only; undefined: nothing
  bool spend = false;  ///< whether the branch's memory may take the sum, where no gradient is recorded

  /// x + branch + bias, which becomes the stream.
  const Tensor& sum();
};

/// weight (s - mean) / sqrt(var + eps) + shift of s = x + branch + bias over the last axis, in `type`; the stream becomes s,
/// in its own type.
Tensor add_norm(Stream& stream, const Tensor& weight, const Tensor& shift, double eps, at::ScalarType type);

/// gelu(x weight^T + bias), exact: x [.., D], weight [H, D] of the same type, bias [H] -> [.., H].
///
/// The derivative of gelu is kept for the backward pass in place of its argument, rounded to x's type.
Tensor linear_gelu(const Tensor& x, const Tensor& weight, const Tensor& bias);

/// How queries attend to keys.
struct Attending {
  std::optional<double> scale{};  ///< of the scores; none: one over the root of a head's width
  Tensor mask{};                  ///< [B, 1, 1, S] bool, keys that are attended to; undefined: all
  bool causal = false;            ///< a query attends to the keys up to its own place; not with a mask
};

/// [B, S, H E] -> [B, H, S, E], a view.
Tensor to_heads(const Tensor& x_BSD, int64_t heads);

/// softmax(scale query key^T) value of each head: query [B, H, n, E], key and value [B, H, S, E] -> [B, n, H E].
///
/// Without a mask, in float32 and float64 on the CPU, it is one pass over the heads, made for short sequences and narrow heads, whose results
/// don't depend on the number of threads; otherwise ATen's.
Tensor attention(const Tensor& query_BHnE, const Tensor& key_BHSE, const Tensor& value_BHSE, const Attending& how = {});

/// The same of the queries, keys and values that one product has made: [B, S, 3 H E] -> [B, S, H E].
Tensor self_attention(const Tensor& qkv_BS3D, int64_t heads, const Attending& how = {});

/// The type that autocast, where it is on, gives to the operands of a matrix product; else that of x.
at::ScalarType product_type(const Tensor& x);

}  // namespace flowrun::kernels
