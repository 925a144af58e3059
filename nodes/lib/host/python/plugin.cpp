// Files of Python as plug-ins: "plugins": ["mine.py"].
#include <deque>
#include <map>
#include <stdexcept>

#include "graph/contract/plugin_kind.h"
#include "nodes/lib/host/python/python_node.h"

namespace flowrun::python {
namespace {

NodeType node_type_of(const std::string& file, const Description& description) {
  switch (description.kind) {
    case Kind::sample:
      return sample_type(file, description);
    case Kind::mask:
      return mask_type(file, description);
    case Kind::source:
      return source_type(file, description);
  }
  throw std::logic_error("a kind of node without a type");
}

/// A file that is opened again may have been edited: its types are replaced.
std::string open_file(const std::string& path) {
  // Types in the registry point to descriptions; names belong to the file that first had them.
  static auto& descriptions = *new std::deque<Description>();
  static auto& owners = *new std::map<std::string, std::string>();
  try {
    for (Description& description : read_descriptions(read_again(path)->describe())) {
      const bool replaces = owners.contains(description.type) && owners[description.type] == path;
      descriptions.push_back(std::move(description));
      const NodeType type = node_type_of(path, descriptions.back());
      if (replaces) {
        replace_node(type);
        continue;
      }
      register_node(type, contract);
      if (std::string fault = registration_fault(); !fault.empty()) return path + ": " + fault;
      owners[descriptions.back().type] = path;
    }
    return "";
  } catch (const std::invalid_argument& error) {
    return path + ": " + error.what();
  } catch (const NodeError& error) {
    return error.what();
  }
}

[[maybe_unused]] const bool registered = [] {
  register_plugin_kind(".py", open_file);
  return true;
}();

}  // namespace
}  // namespace flowrun::python
