// The page of a run: report.html.
#pragma once

#include <filesystem>

namespace flowrun::tool {

/// One file that needs nothing else: no network, no other files. Throws RunError when the folder holds no run.
void write_report(const std::filesystem::path& run, const std::filesystem::path& out);

/// At the end of a run, which doesn't fail for it: what goes wrong is logged.
void try_report(const std::filesystem::path& run);

}  // namespace flowrun::tool
