// Colours in CIE Lab and their bins, as targets of colorization (Zhang et al. 2016). No graph knowledge.
#pragma once

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::target {

/// sRGB in 0..1 (cut to it) to CIE Lab: D65, 2 degrees, as scikit-image's rgb2lab. [B, 3, H, W] -> the same; L in 0..100.
Tensor lab(const Tensor& rgb_BCHW);

/// Rules that choose the centres of bins among the multiples of a bin's side.
enum class Gamut {
  hull,  ///< closer than `bin`, in both a and b, to the convex hull of sRGB's ab. 313 for 10: the list that Zhang et al. published (pts_in_hull.npy)
  srgb,  ///< the ab of some 8-bit sRGB colour lies in the square of side `bin` around it. 261 for 10
};

/// Centres (a, b) [K, 2] of bins, float32 on the host; by a, then b, as in the published list.
Tensor colour_bins(double bin, Gamut gamut);

/// Each of the colours [n, 2] as a distribution over the bins [K, 2]: exp(-distance^2 / (2 sigma^2)) over the `neighbours` nearest,
/// divided by the sum. [n, K].
Tensor soft_bins(const Tensor& ab_n2, const Tensor& bins_K2, int64_t neighbours, double sigma);

/// How much a bin counts: 1 / ((1 - even) share + even / K), times a factor that makes the mean over the shares 1. Shares [K] sum
/// to 1.
Tensor rebalanced(const Tensor& share_K, double even);

}  // namespace flowrun::target
