// Opens a run only for inspection.
#pragma once

#include <functional>

#include "graph/engine/engine.h"

namespace flowrun::app {

/// Opens the pipeline on the CPU with one data thread and without a line of output, and hands the engine to `look`. Throws the
/// exceptions of opening it.
void look_into(CheckedPipeline& pipeline, const std::function<void(Engine&)>& look);

}  // namespace flowrun::app
