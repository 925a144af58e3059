// Shared libraries that define node and model types.
#include "graph/check/plugins.h"

#include <dlfcn.h>
#include <filesystem>

#include "graph/contract/own_library.h"
#include "graph/contract/plugin_kind.h"
#include "graph/node.h"

namespace flowrun {

std::string open_plugin(const std::string& path) {
  const std::filesystem::path file = std::filesystem::absolute(path).lexically_normal();
  if (const OpenPlugin open = plugin_kind(file.extension().string())) return open(file.string());
  offer_own_symbols();
  if (!dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL)) {
    const char* const reason = dlerror();
    return reason ? reason : path;
  }
  const std::string fault = registration_fault();
  return fault.empty() ? "" : path + ": " + fault;
}

std::string plugin_path(const Value& item) {
  const auto directory = std::filesystem::path(item.where.source->name).parent_path();
  return std::filesystem::absolute(directory / item.string).lexically_normal().string();
}

void load_plugins(const Value& pipeline, bool trust, Diagnostics& faults) {
  const Value* list = pipeline.is(Value::Kind::object) ? pipeline.find("plugins") : nullptr;
  if (!list) return;
  if (!list->is(Value::Kind::array)) return faults.error(list->where, "plugins must be a list of shared libraries");
  for (const Value& item : list->items) {
    if (!item.is(Value::Kind::string)) {
      faults.error(item.where, "plugins must be a list of shared libraries");
      continue;
    }
    if (!trust && std::filesystem::path(item.where.source->name).filename() == "pipeline.resolved.json") {
      faults.error(item.where, "a run's folder names the plug-in " + item.string + ", a library of the folder's author", "--trust loads it");
      continue;
    }
    const std::string fault = open_plugin(plugin_path(item));
    if (fault.empty()) continue;
    faults.error(item.where, "the plug-in can't be loaded: " + fault, "build it against this version of flowrun (docs/writing-a-node.md)");
  }
}

}  // namespace flowrun
