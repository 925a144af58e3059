// From names to open models: what stands between a pipeline that is checked and one that can run.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "graph/check/entries.h"

namespace flowrun {

/// Points the model references of a parameter set at the open models; `resources` are those of the first models, in their
/// order.
void bind_models(ParamSet& params, const std::vector<CheckedModel>& models, const std::vector<std::unique_ptr<Resource>>& resources);

/// Per model, whether a node with a state of its own changes it: an optimizer, or a moving average.
std::vector<bool> changed_models(const CheckedPipeline& pipeline);

/// The message of a node's failure for users: LibTorch puts the stack of its own calls behind it, which tells them nothing.
std::string message_of(const std::exception& error);

/// Does the work of the node or model `name`; what it throws becomes a RunError that names it, but for PipelineError.
void guard(const std::string& name, const std::function<void()>& work);

}  // namespace flowrun
