// From names to open models: what stands between a pipeline that is checked and one that can run.
#pragma once

#include <memory>
#include <vector>

#include "graph/validate.h"

namespace flowrun {

/// Points the model references of a parameter set at the open models; `resources` are those of the first models, in their
/// order.
void bind_models(ParamSet& params, const std::vector<CheckedModel>& models, const std::vector<std::unique_ptr<Resource>>& resources);

}  // namespace flowrun
