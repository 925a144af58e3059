// The page of a run: report.html.
#pragma once

#include <filesystem>

namespace flowrun::tool {

/// One file that needs nothing else: no network, no other files. Throws RunError when the folder holds no run.
/// `trust`: plug-ins that the run's folder names are loaded; without them its graph may be missing.
void write_report(const std::filesystem::path& run, const std::filesystem::path& out, bool trust);

/// At the end of a run, which doesn't fail for it: what goes wrong is logged.
void try_report(const std::filesystem::path& run);

}  // namespace flowrun::tool
