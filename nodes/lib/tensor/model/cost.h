// The cost of a pass of each model, counted from its shapes.
#pragma once

#include "nodes/lib/tensor/model/classifier.h"
#include "nodes/lib/tensor/model/conv_predictor.h"
#include "nodes/lib/tensor/model/cross_predictor.h"
#include "nodes/lib/tensor/model/pass.h"
#include "nodes/lib/tensor/model/text.h"
#include "nodes/lib/tensor/model/transformer_predictor.h"
#include "nodes/lib/tensor/model/vit.h"

namespace flowrun::model {

/// `element`: bytes of a number in products, 4, or 2 under bf16. What stays float32 (the residual stream, norms) takes 4.
///
/// A pass of an encoder over `patches` of an image's patches and the tokens before them; of `pass` the blocks, what the last of them leaves out,
/// and the element. A pass without gradients keeps nothing: use only `working`.
Cost encoder_cost(const VitConfig& config, double patches, const Pass& pass);
/// One text.
Cost text_cost(const TextConfig& config, int element);
Cost classifier_cost(const ClassifierConfig& config);
/// `prefix`: tokens that the encoder hands on beside the visible patches (1: class token, or 0); of a cross predictor
/// that mixes blocks, all before the patches.
Cost predictor_cost(const TransformerPredictorConfig& config, const MaskCounts& masks, int64_t prefix, int element);
/// Of that predictor, what predictions at the visible patches add.
Cost visible_predictions_cost(const TransformerPredictorConfig& config, const MaskCounts& masks, int64_t prefix, int element);
Cost predictor_cost(const CrossPredictorConfig& config, const MaskCounts& masks, int64_t prefix, int element);
Cost predictor_cost(const ConvPredictorConfig& config, int element);

}  // namespace flowrun::model
