#pragma once
namespace flowrun {
inline constexpr const char* version = "0.1.0";
/// Of the headers that plug-ins are built against (graph/node.h and what travels). Goes up with every change after which
/// a plug-in must be built again.
inline constexpr int plugin_contract = 3;
}  // namespace flowrun
