// Opens the models of a checked pipeline and binds the nodes' references to them, so that it can run.
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

/// For each model, whether a stateful node changes it: an optimizer, or a moving average.
std::vector<bool> changed_models(const CheckedPipeline& pipeline);

/// The message of a node's failure for users, without the call stack that LibTorch appends: it tells users nothing.
std::string message_of(const std::exception& error);

/// Does the work of the node or model `name`. Exceptions become a RunError that names it, except PipelineError, which
/// passes through.
void guard(const std::string& name, const std::function<void()>& work);

}  // namespace flowrun
