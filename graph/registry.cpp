#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>

#include "graph/node.h"

namespace flowrun {
namespace {

template <class Type>
struct Registry {
  std::deque<Type> storage;  // stable addresses
  std::vector<const Type*> sorted;

  void add(const Type& type) {
    const auto at = std::lower_bound(sorted.begin(), sorted.end(), type.info.type, less);
    if (at != sorted.end() && std::string_view((*at)->info.type) == type.info.type) {
      std::fprintf(stderr, "flowrun: two definitions of the type %s: rename one (a plug-in?)\n", type.info.type);
      std::abort();
    }
    storage.push_back(type);
    sorted.insert(at, &storage.back());
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
void register_node(const NodeType& type) { nodes().add(type); }
void register_model(const ModelType& type) { models().add(type); }

const char* scope_name(Scope scope) {
  static constexpr const char* names[] = {"source", "sample", "batch", "device", "step", "evaluation"};
  return names[static_cast<int>(scope)];
}

}  // namespace flowrun
