// A look at a run that may never begin.
#pragma once

#include <functional>

#include "graph/engine/engine.h"

namespace flowrun::tool {

/// Opens the pipeline on the CPU with one data thread and without a line of output, and hands the engine to `look`. Throws what
/// opening it throws.
void look_into(CheckedPipeline& pipeline, const std::function<void(Engine&)>& look);

}  // namespace flowrun::tool
