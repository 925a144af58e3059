// Patches of images with a label for every pixel, the data of segmentation by frozen features. No graph knowledge.
#pragma once

#include <cstdint>
#include <vector>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::eval {

/// In the shape suffixes of this file N counts patches, image by image, and F the pixels of a patch.
struct Patches {
  Tensor features_ND;  ///< float32
  Tensor pixels_NF;    ///< u8 class of each pixel, 255 where there is none
  int64_t per_image = 0;

  int64_t images() const { return features_ND.size(0) / per_image; }
  /// The patches of some images (int64 indices, on any device).
  Patches of_images(const Tensor& images) const;
  /// The patches whose modal label is one.
  Patches labelled() const;
};

/// Label maps [B, H, W] u8 cut to the patches of a grid: [B * grid^2, F]. Throws std::invalid_argument unless the grid
/// divides both sides.
Tensor cut_maps(const Tensor& maps_BHW, int64_t grid);

/// The most frequent value of each row, 255 among them; of equally frequent ones the smallest. [N, F] u8 -> [N] int64.
Tensor modes(const Tensor& values_NF);

}  // namespace flowrun::eval
