// The page of a run: report.html.
#pragma once

#include <filesystem>

namespace flowrun::app {

/// A self-contained file: it needs no network and no other files. Throws RunError when the folder holds no run.
/// `trust`: plug-ins that the run's folder names are loaded; without them its graph may be missing.
void write_report(const std::filesystem::path& run, const std::filesystem::path& out, bool trust);

/// Called at the end of a run. Errors are logged and don't fail the run.
void try_report(const std::filesystem::path& run);

}  // namespace flowrun::app
