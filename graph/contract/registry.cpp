#include <algorithm>
#include <deque>
#include <utility>

#include "graph/contract/plugin_kind.h"
#include "graph/node.h"

namespace flowrun {
namespace {

std::string& fault() {
  static std::string text;
  return text;
}

template <class Type>
struct Registry {
  std::deque<Type> storage;  // stable addresses
  std::vector<const Type*> sorted;

  void add(const Type& type, PluginContract built) {
    if (built != contract) {
      fault() = "it was built against other headers (contract " + std::to_string(built.number) + ", this program has " +
                std::to_string(contract.number) + (built.number == contract.number ? ", but other layouts" : "") + "): build it again";
      return;
    }
    const auto at = std::lower_bound(sorted.begin(), sorted.end(), type.info.type, less);
    if (at != sorted.end() && std::string_view((*at)->info.type) == type.info.type) {
      fault() = std::string("it defines the type ") + type.info.type + ", which exists already: rename one";
      return;
    }
    storage.push_back(type);
    sorted.insert(at, &storage.back());
  }
  void replace(const Type& type) {
    storage.push_back(type);
    *std::lower_bound(sorted.begin(), sorted.end(), type.info.type, less) = &storage.back();
  }
  const Type* find(std::string_view name) const {
    const auto at = std::lower_bound(sorted.begin(), sorted.end(), name, less);
    return at != sorted.end() && (*at)->info.type == name ? *at : nullptr;
  }
  static bool less(const Type* a, std::string_view b) { return a->info.type < b; }
};

// Functions, not globals: registrars in other files run in an unknown order.
Registry<NodeType>& nodes() {
  static Registry<NodeType> registry;
  return registry;
}
Registry<ModelType>& models() {
  static Registry<ModelType> registry;
  return registry;
}

}  // namespace

const std::vector<const NodeType*>& node_types() { return nodes().sorted; }
const std::vector<const ModelType*>& model_types() { return models().sorted; }
const NodeType* find_node_type(std::string_view type) { return nodes().find(type); }
const ModelType* find_model_type(std::string_view type) { return models().find(type); }
void register_node(const NodeType& type, PluginContract built) { nodes().add(type, built); }
void register_model(const ModelType& type, PluginContract built) { models().add(type, built); }
void replace_node(const NodeType& type) { nodes().replace(type); }
std::string registration_fault() { return std::exchange(fault(), {}); }

const char* scope_name(Scope scope) {
  static constexpr const char* names[] = {"source", "sample", "batch", "device", "whole", "step", "evaluation"};
  return names[static_cast<int>(scope)];
}

}  // namespace flowrun
