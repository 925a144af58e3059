// The cost of a pass through a model, counted from its shapes: for plans, not for measurements.
//
// The products of the linear layers and of the attention are counted, with two operations for a multiplication and its
// addition. Norms, GELU, softmax and data movement are not: on a GPU they take time, but no products.
#pragma once

#include "nodes/model/classifier.h"
#include "nodes/model/conv_predictor.h"
#include "nodes/model/cross_predictor.h"
#include "nodes/model/predictor.h"
#include "nodes/model/vit.h"

namespace flowrun::model {

/// The cost of one image (of one row, if images have several masks). Counts may be means over masks, so they are not
/// integers.
struct Cost {
  double flops = 0;    ///< of the forward pass; the backward pass has twice as many
  double saved = 0;    ///< bytes that a forward pass keeps for its backward pass
  double working = 0;  ///< bytes besides, at its widest place
  Cost& operator+=(const Cost& other);
  Cost times(double count) const { return {flops * count, saved * count, working * count}; }
};

/// The tokens of an image that a pass sees.
struct MaskCounts {
  double visible = 0;  ///< K
  double regions = 0;  ///< R
  double patches = 0;  ///< M
  double tokens() const { return regions * patches; }
};

/// `element`: bytes of a number in products, 4, or 2 under bf16. What stays float32 (the residual stream, norms) takes 4.
///
/// `blocks` blocks of an encoder over `patches` of an image's patches and the tokens before them. A pass without
/// gradients keeps nothing: use only `working`.
Cost encoder_cost(const VitConfig& config, double patches, int64_t blocks, int element);
Cost classifier_cost(const ClassifierConfig& config);
/// `prefix`: tokens that the encoder hands on beside the visible patches (1: class token, or 0); of a cross predictor
/// that mixes blocks, all before the patches.
Cost predictor_cost(const PredictorConfig& config, const MaskCounts& masks, int64_t prefix, int element);
Cost predictor_cost(const CrossPredictorConfig& config, const MaskCounts& masks, int64_t prefix, int element);
Cost predictor_cost(const ConvPredictorConfig& config, int element);

}  // namespace flowrun::model
