// The maps that nodes take through the small networks behind an encoder's stages.
#pragma once

#include <optional>
#include <string>

#include "nodes/lib/tensor/types/feature_maps.h"

namespace flowrun::model {

/// The shape of the map of this stage in input "maps", for `model`, which takes so many channels; nothing where it is not known. A fault where it is
/// certain that it does not come in, or has other channels.
std::optional<StageShape> check_map(NodePlan& plan, int64_t stage, int64_t channels, const std::string& model);

/// The map itself. Throws NodeError for the same.
const Tensor& require_map(const FeatureMaps& maps, int64_t stage, int64_t channels, const std::string& model);

}  // namespace flowrun::model
