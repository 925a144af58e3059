// Shared libraries that bring node and model types along.
#pragma once

#include <string>

#include "graph/text/json.h"

namespace flowrun {

/// Opens a plug-in, whose types are registered. Returns why it can't be used; empty: it can. Opening one again does nothing.
/// One that was refused stays in the process, but none of its types is known.
std::string open_plugin(const std::string& path);

/// Absolute; a relative one is taken from the folder of the file that names it, wherever the program is started.
std::string plugin_path(const Value& item);

/// Opens the shared libraries of a "plugins" list. Those that the folder of a run names (pipeline.resolved.json) are code
/// of whoever made that folder: they are a fault unless the user trusts them.
void load_plugins(const Value& pipeline, bool trust, Diagnostics& faults);

}  // namespace flowrun
