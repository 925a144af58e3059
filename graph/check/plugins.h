// Shared libraries that define node and model types.
#pragma once

#include <string>

#include "graph/text/json.h"

namespace flowrun {

/// Opens a plug-in, which registers its types. Returns why it can't be used; empty: it can. Opening it again does nothing. A
/// refused plug-in stays in the process, but none of its types is known.
std::string open_plugin(const std::string& path);

/// The absolute path; a relative path starts at the folder of the file that names it, wherever the program is started.
std::string plugin_path(const Value& item);

/// Opens the shared libraries of a "plugins" list. Plug-ins that a run's folder names (pipeline.resolved.json) are code
/// of whoever made that folder: they are a fault unless the user trusts them.
void load_plugins(const Value& pipeline, bool trust, Diagnostics& faults);

}  // namespace flowrun
