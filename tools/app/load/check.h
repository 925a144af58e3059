// The faults of a pipeline, and its resolved form.
#pragma once

#include <nlohmann/json.hpp>

#include "tools/app/load/load.h"

namespace flowrun::app {

/// {"file", "faults": [{"file", "line", "column", "node", "message", "hint", "used_at"}]}; without faults also how many "nodes"
/// and "models" there are.
nlohmann::ordered_json check(const PipelineArgs& args);

/// The pipeline with every default filled in, which runs. Throws PipelineError with all faults.
nlohmann::ordered_json expand(const PipelineArgs& args);

}  // namespace flowrun::app
