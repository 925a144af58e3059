// The ports of parts after their expansion into nodes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "graph/text/json.h"

namespace flowrun {

/// "node.port", cut at the first dot.
struct PortName {
  explicit PortName(const std::string& text)
      : node(text.substr(0, text.find('.'))), has_port(node.size() < text.size()), port(has_port ? text.substr(node.size() + 1) : "") {}
  std::string node;
  bool has_port;
  std::string port;
};

/// The "ports" that expand_parts() leaves: "large" are a part's outputs, "large/in" its inputs. Each stands for the ports
/// of nodes or of other parts, never for itself.
class PartPorts {
 public:
  explicit PartPorts(const Value* ports) : ports_(ports) {}

  /// An object from port to "node" or "node.port"; a string, if all ports are those of one node; null: no part is called so.
  const Value* find(std::string_view name) const { return ports_ ? ports_->find(name) : nullptr; }

  /// The nodes that use parts.
  std::vector<std::string> users() const {
    std::vector<std::string> out = ports_ ? ports_->keys() : std::vector<std::string>{};
    std::erase_if(out, [](const std::string& name) { return name.ends_with(inputs); });
    return out;
  }

  struct Port {
    std::string part;  // the node that uses it
    const std::string* text;
    Location where;
  };
  /// Every port, with the place that connects it.
  std::vector<Port> all() const {
    std::vector<Port> out;
    if (!ports_) return out;
    for (const Member& ports : ports_->members) {
      const std::string part = ports.key.substr(0, ports.key.size() - (ports.key.ends_with(inputs) ? inputs.size() : 0));
      if (ports.value.is(Value::Kind::string)) out.push_back({part, &ports.value.string, ports.value.where});
      for (const Member& port : ports.value.members) out.push_back({part, &port.value.string, port.value.where});
    }
    return out;
  }

 private:
  static constexpr std::string_view inputs = "/in";
  const Value* ports_;
};

}  // namespace flowrun
