// Targets and loss of masked image modelling in hidden space (Bootleg paper, targets and objective). No graph
// knowledge.
#pragma once

#include <vector>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::mim {

/// The axis over which a target is standardised: the features of a token (layer norm without gain), the patches of an
/// image (instance norm, data2vec), or none.
enum class Over { features, tokens, none };

struct ZScore {
  double eps = 1e-5;      ///< added to the variance; I-JEPA's, as layer_norm's default
  bool unbiased = false;  ///< divide by n - 1 (MAE) instead of n
  Over over = Over::features;
};

/// (x - mean) / sqrt(var + eps) over the last axis, or for Over::tokens over the last but one; float32, or float64 if x
/// is.
Tensor z_score(const Tensor& x, const ZScore& options = {});

/// How several taps are merged into one target: side by side, or their mean or sum.
enum class Merge { concat, mean, sum };

struct TargetOptions {
  ZScore zscore;
  Merge merge = Merge::concat;
  bool zscore_merged = false;  ///< standardise the features of a mean or sum once more (data2vec)
  bool pooled = false;         ///< the mean over all patches of an image, in place of its target patches
};

/// Targets of the predictor: each tap (a hidden block's [B, N, D]) standardised, merged, at the target patches.
/// index int64: targets [B, R, M], as many rows as images or a multiple -> [B, R, M, O], without gradient; pooled: [B, 1, 1, O]. Or [n], counted
/// over all images (image * N + patch) -> [1, 1, n, O]. Undefined: at all rows of the taps, [B, 1, N, O].
Tensor hidden_targets(const std::vector<Tensor>& taps_BND, const Tensor& index, const TargetOptions& options = {});

/// Pixels of the target patches, row by row, channel last in a pixel, as MAE has them: images_BCHW, index as above ->
/// [B, R, M, F] or [1, 1, n, F], without gradient. `normalise`: each patch by its own mean and variance (unbiased, eps 1e-6 in MAE).
Tensor pixel_targets(const Tensor& images_BCHW, const Tensor& index, int64_t patch, bool normalise, const ZScore& options);

/// Patches of x_BND at an index as above: [B, R, M, D] or [1, 1, n, D].
Tensor at_patches(const Tensor& x_BND, const Tensor& index);

}  // namespace flowrun::mim
