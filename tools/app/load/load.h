// From the command line to a checked pipeline.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "graph/check/entries.h"
#include "graph/compose/pipeline.h"

namespace flowrun::app {

/// A pipeline file with its changes.
struct PipelineArgs {
  std::string file;
  std::vector<std::string> sets;
  bool trust = false;          // plug-ins that a run's folder names may be loaded
  bool batches_leave = false;  // for a program that reads batches: nothing else need read them
};

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

}  // namespace flowrun::app
