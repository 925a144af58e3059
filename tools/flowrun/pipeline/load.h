// From the command line to a checked pipeline.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "graph/check/entries.h"
#include "graph/compose/pipeline.h"
#include "tools/flowrun/commands.h"

namespace flowrun::tool {

struct Loaded {
  Diagnostics faults;
  Value pipeline;                          // as much as could be read
  std::optional<CheckedPipeline> checked;  // without faults
};

/// Loads, changes and checks.
Loaded load(const PipelineArgs& args);

/// The same. Throws PipelineError with all faults.
CheckedPipeline load_checked(const PipelineArgs& args);

/// Opens plug-ins given on the command line. Throws PipelineError.
void open_plugins(const std::vector<std::string>& paths);

}  // namespace flowrun::tool
