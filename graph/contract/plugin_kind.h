// Plug-ins that are no shared libraries, by the extension of their files.
#pragma once

#include <string>

namespace flowrun {

struct NodeType;

/// Registers the types of a plug-in's file, whose path is absolute. Returns why it can't be used; empty: it can. Called from one thread.
using OpenPlugin = std::string (*)(const std::string& path);

/// Called before main(). `extension` with its dot.
void register_plugin_kind(const std::string& extension, OpenPlugin open);

/// Null: files of this extension are shared libraries.
OpenPlugin plugin_kind(const std::string& extension);

/// Gives a registered type of nodes a new description. Nodes and pipelines that have the older one keep it.
void replace_node(const NodeType& type);

}  // namespace flowrun
