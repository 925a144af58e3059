// Shared by the two ways of running a sweep.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tools/flowrun/commands.h"

namespace flowrun::tool {

struct Variant {
  std::string name;
  PipelineArgs pipeline;
};

/// The arguments for running `variant` into `out`: continues from a checkpoint; a run that was interrupted before its
/// first checkpoint is removed, under its lock. Throws RunError if the folder holds anything else.
RunArgs variant_args(const Variant& variant, const std::filesystem::path& out, const SweepArgs& args);

}  // namespace flowrun::tool
