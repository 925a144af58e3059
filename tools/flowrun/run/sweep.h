// What the two ways to run a sweep share.
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

/// How `variant` is run into `out`: goes on from a checkpoint; a run that was broken off before its first one is removed,
/// under its lock. Throws RunError where the folder holds anything else.
RunArgs variant_args(const Variant& variant, const std::filesystem::path& out, const SweepArgs& args);

}  // namespace flowrun::tool
