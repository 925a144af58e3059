// The folders of a sweep's runs, before anything runs.
#pragma once

#include <filesystem>
#include <string>

#include "tools/app/sweep/sweep_plan.h"

namespace flowrun::app {

/// Whether a run has a checkpoint to continue from.
bool goes_on(const std::filesystem::path& run);

/// Checks that a folder with files of a run holds only one that was interrupted before its first checkpoint. Throws RunError otherwise.
void require_own_run(const std::filesystem::path& run);

/// Clears the folder for a run that begins at its first step. The folder itself stays, because it carries the lock.
void make_room(const std::filesystem::path& run);

/// The values in which the pipeline that made a run differs from what the sweep has now, a line each; empty: none.
std::string other_pipeline(const std::filesystem::path& run, const PipelineArgs& now);

}  // namespace flowrun::app
