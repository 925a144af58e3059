// Sweep files.
#pragma once

#include <string>
#include <vector>

#include "tools/app/sweep/sweep_plan.h"

namespace flowrun::app {

/// A variant before seeds.
struct SweepGroup {
  std::string name;
  PipelineArgs pipeline;
};

struct SweepFile {
  SweepPlan plan;  // without runs and variants
  std::vector<SweepGroup> groups;
};

/// Reads a sweep file: its variants, times the points of its grid, times those of its zip. Throws PipelineError with all faults.
SweepFile read_sweep_file(const std::string& path, const SweepArgs& args);

/// Whether a file is a sweep: it has base, variants, grid, zip or seeds, and neither nodes nor extends. One that can't be read, or has none of these,
/// counts as what `otherwise` says.
bool is_sweep_file(const std::string& path, bool otherwise);

}  // namespace flowrun::app
