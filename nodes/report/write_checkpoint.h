// Models and stateful nodes as a checkpoint directory.
#pragma once

#include <filesystem>

#include "graph/context.h"

namespace flowrun {

/// Writes ROOT/step-N with NAME.safetensors for each model and stateful node. Returns its path. Step nodes only.
std::filesystem::path write_checkpoint(const std::filesystem::path& root, const StepContext& context);

}  // namespace flowrun
