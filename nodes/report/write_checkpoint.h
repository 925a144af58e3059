// Models and stateful nodes as a checkpoint directory.
#pragma once

#include <filesystem>

#include "graph/context.h"

namespace flowrun {

/// Writes ROOT/step-N with NAME.safetensors for each model and stateful node. Returns its path; an empty one where this run, or
/// this rank, writes nothing, or can't any more. Collective: all ranks call it. Step nodes only.
std::filesystem::path write_checkpoint(const std::filesystem::path& root, const StepContext& context);

}  // namespace flowrun
