#pragma once
namespace flowrun {
inline constexpr const char* version = "0.1.0";
/// Version of the headers that plug-ins are built against (graph/node.h and the types that travel). Raise it with every
/// change after which a plug-in must be rebuilt.
inline constexpr int plugin_contract = 7;
}  // namespace flowrun
