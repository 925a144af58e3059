// From files to one flat pipeline text: extends, swap, set, add, drop, --set, let. Nothing merges implicitly.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "graph/text/json.h"

namespace flowrun {

/// Loads `path` and everything it extends, applies the changes in order (base first, then the file's own, then `sets`,
/// each `path=value`), and substitutes `let`. The result is an object with "about", "seed", "run", "plugins", "models"
/// and "nodes" as far as they were given. Every fault goes to `faults`; when the rest is worth checking in spite
/// of them, the object is returned, else null.
Value load_pipeline(const std::string& path, const std::vector<std::string>& sets, Diagnostics& faults);

/// The same from a text in memory; relative paths are taken from the current directory.
Value load_pipeline(const std::shared_ptr<const Source>& source, const std::vector<std::string>& sets, Diagnostics& faults);

/// The file that `name` stands for, in "extends" and where else a pipeline is named: relative to `directory`, or shipped:FILE.json, one that comes
/// with the program. It need not exist. Empty, with a fault at `where`, if no pipelines are shipped.
std::filesystem::path pipeline_file(const std::string& name, const std::filesystem::path& directory, const Location& where, Diagnostics& faults);

}  // namespace flowrun
