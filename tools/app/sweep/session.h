// A sweep's variants in TensorBoard's table of hyperparameters.
#pragma once

#include <filesystem>
#include <set>
#include <string>

#include "tools/app/load/load.h"

namespace flowrun::app {

/// Adds the run of a variant that is done to the table: the values that its pipeline has at `paths`, as `--set` names them, and its
/// evaluations as NODE/NAME. Nothing happens where the run wrote no event file, or is in the table already.
void add_session(const std::filesystem::path& run, const PipelineArgs& pipeline, const std::set<std::string>& paths);

}  // namespace flowrun::app
