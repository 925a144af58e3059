// Rotary positions: queries and keys are turned by angles that their patch's place sets (Su et al. 2021), in two axes.
#pragma once

#include <cstdint>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::model {

/// Kinds of positions of a vision transformer.
enum class Positions {
  sincos,   ///< a fixed table that is added to the patches
  learned,  ///< a table that is trained
  /// DINOv3's rotation (axial RoPE): places are centres of patches from -1 to 1, periods go from 1 to nearly 100 sides of 2, and channels
  /// i and i + E/2 of a head turn together. Scores depend on the distance of two patches alone. Tokens without a place don't turn.
  rotary,
  /// CAPI's code: places from 0 to 1, frequencies from 7 to 0.0007 turns a side, registers on the edge of what is visible. Channels i and
  /// i + E/2 have angles of different axes there, so this is no rotation; it is here for what was trained so.
  rotary_capi
};

constexpr bool rotates(Positions positions) { return positions == Positions::rotary || positions == Positions::rotary_capi; }

/// Row and column of each patch, [grid * grid, 2], as `positions` measures them; on the host.
Tensor rotary_places(Positions positions, int64_t grid, at::ScalarType dtype = at::kFloat);

/// Radians for each unit of row and column, [2, E] for heads of width E, a multiple of 4; on the host.
Tensor rotary_frequencies(Positions positions, int64_t head_width, at::ScalarType dtype = at::kFloat);

/// Puts the places of `registers` tokens in front of those of the patches that a pass sees, [B, K, 2] -> [B, registers + K, 2]: zeros, or CAPI's
/// places along the edge of the rectangle that the patches fill (registers then are a multiple of 4).
Tensor with_register_places(Positions positions, const Tensor& places_BK2, int64_t registers);

/// Factors for the tokens of a pass, [B, 1, S, E] each; B is 1 where all images have the same places.
struct Rotation {
  Tensor cos, sin;
  /// Factors of `count` tokens from `first` on.
  Rotation narrow(int64_t first, int64_t count) const { return {cos.narrow(2, first, count), sin.narrow(2, first, count)}; }
};

/// places [B, S, 2], frequencies [2, E].
Rotation rotation(const Tensor& places_BS2, const Tensor& frequencies_2E);

/// x cos + half(x) sin, with half(x) = (-x[E/2:], x[:E/2]). x [B, H, S, E or more]: channels behind E stay as they are. The result has x's
/// type; products are in the factors' type.
Tensor rotated(const Tensor& x_BHSE, const Rotation& rotation);

}  // namespace flowrun::model
