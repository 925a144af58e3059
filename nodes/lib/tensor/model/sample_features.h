// Images and an encoder's features of them, with which other programs check that they compute the same.
#pragma once

#include "nodes/lib/tensor/model/encoder.h"

namespace flowrun::model {

struct SampleFeatures {
  Tensor images_BCHW;  ///< normalised: coloured squares with noise, always the same ones
  Tensor features_BD;  ///< the class token, or without one the mean of the patches
};

/// Of three images of `side` pixels; float32, on the host, where the encoder must be. Batch norms take their running statistics.
SampleFeatures sample_features(const Encoder& encoder, int64_t side);

}  // namespace flowrun::model
