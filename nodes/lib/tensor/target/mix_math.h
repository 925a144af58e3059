// Mixup, cutmix, label smoothing and random erasing as timm defines them. No graph knowledge.
#pragma once

#include <optional>
#include <vector>

#include "graph/contract/rng.h"
#include "io/codec/image.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun::supervised {

/// Beta(alpha, alpha): two gamma numbers by Marsaglia and Tsang ("A simple method for generating gamma variables", 2000),
/// in logarithms, so that small alphas don't divide 0 by 0. alpha > 0.
double draw_beta(double alpha, Rng& rng);

struct MixOptions {
  double mixup = 0.8, cutmix = 1.0;  ///< alphas of the two; 0: never
  double chance = 1, switch_chance = 0.5;
};

/// How a group is mixed with itself in reverse order: image i with image B - 1 - i.
struct Mix {
  double lambda = 1;            ///< share of the image itself
  std::optional<io::Rect> box;  ///< of cutmix: where the other image is pasted
};

/// One draw for the whole group (timm's batch mode). A box has side sqrt(1 - lambda) of the image's, its centre is
/// uniform, and it is cut off at the borders; lambda is then what the box leaves (correct_lam).
Mix draw_mix(const MixOptions& options, int height, int width, Rng& rng);

/// The box of cutmix around a centre.
io::Rect cut_box(double lambda, int height, int width, int row, int column);

struct EraseOptions {
  double chance = 0.25;
  double low = 0.02, high = 1.0 / 3;  ///< share of the area
  double aspect = 0.3;                ///< smallest; the largest is one over it
};

/// The rectangle of one image, if any: area uniform, aspect log-uniform, ten tries to find one smaller than the image.
std::optional<io::Rect> draw_erase(const EraseOptions& options, int height, int width, Rng& rng);

/// A copy with the rectangle of each image (none: untouched) filled, in all channels, by values of `fill`, one after the
/// other; undefined: by 0, the mean of normalised images.
Tensor erase(const Tensor& images_BCHW, const std::vector<std::optional<io::Rect>>& boxes, const Tensor& fill);

/// lambda x + (1 - lambda) flip(x), or x with the box of flip(x) pasted.
Tensor mix_images(const Tensor& images_BCHW, const Mix& mix);

/// lambda y + (1 - lambda) flip(y), [B, classes] float32, where y is 1 - smoothing + smoothing / classes at the label
/// and smoothing / classes elsewhere. A row whose label is not a class has no 1 - smoothing: check before.
Tensor mix_labels(const Tensor& labels_B, int64_t classes, double smoothing, double lambda);

}  // namespace flowrun::supervised
