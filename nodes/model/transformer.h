// Pre-norm transformer blocks over a parameter list. Used by the encoder and by the predictor.
#pragma once

#include <cstdint>

#include "nodes/model/parameters.h"

namespace flowrun::model {

/// The parameters "blocks.0.*" … "blocks.(depth-1).*" of one stack of blocks:
///
///   x += proj(attention(norm1(x)));   x += fc2(gelu(fc1(norm2(x))))
///
/// Exact GELU (erf), qkv with bias, no dropout, no layer scale, as in the Bootleg paper. Holds indices only, so the
/// parameters may move. Under autocast the linear layers and the attention run in its type. Thread-safe.
class Blocks {
 public:
  /// Adds the parameters. Throws std::invalid_argument unless heads divide the width and all sizes are positive.
  Blocks(Parameters& parameters, int64_t depth, int64_t width, int64_t heads, double mlp_ratio, double norm_eps);

  /// Output of block `block` (from 0) for x_BSD [B, S, D]: [B, S, D].
  Tensor run(const Parameters& parameters, int64_t block, const Tensor& x_BSD) const;

  /// The last `rows` rows of what run() returns, [B, rows, D], without computing the others: all tokens are attended
  /// to, but queries, projection and MLP see these rows only.
  Tensor run_last_rows(const Parameters& parameters, int64_t block, const Tensor& x_BSD, int64_t rows) const;

  int64_t depth() const { return depth_; }

 private:
  Tensor attend(const Parameters& parameters, size_t first, const Tensor& x_BSD, int64_t rows) const;
  Tensor feed_forward(const Parameters& parameters, size_t first, const Tensor& x_BSD) const;

  int64_t depth_, width_, heads_;
  double norm_eps_;
  size_t first_ = 0;
};

}  // namespace flowrun::model
