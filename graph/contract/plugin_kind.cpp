#include "graph/contract/plugin_kind.h"

#include <map>

namespace flowrun {
namespace {

// A function, not a global: registrars in other files run in an unknown order.
std::map<std::string, OpenPlugin>& kinds() {
  static std::map<std::string, OpenPlugin> all;
  return all;
}

}  // namespace

void register_plugin_kind(const std::string& extension, OpenPlugin open) { kinds()[extension] = open; }

OpenPlugin plugin_kind(const std::string& extension) {
  const auto found = kinds().find(extension);
  return found == kinds().end() ? nullptr : found->second;
}

}  // namespace flowrun
