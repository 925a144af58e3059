// From the command line to a checked pipeline.
#pragma once

#include <nlohmann/json.hpp>

#include "graph/validate.h"
#include "tools/flowrun/commands.h"

namespace flowrun::tool {

/// Loads, changes and checks. Throws PipelineError with all faults.
CheckedPipeline load_checked(const PipelineArgs& args);

/// Opens plug-ins given on the command line. Throws PipelineError.
void open_plugins(const std::vector<std::string>& paths);

}  // namespace flowrun::tool
