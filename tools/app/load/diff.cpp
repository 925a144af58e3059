#include "tools/app/load/diff.h"

#include <map>

#include "graph/contract/device.h"
#include "tools/app/load/load.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

/// A pipeline with its resolved form.
struct Side {
  CheckedPipeline pipeline;
  ordered_json resolved;
  std::map<std::string, size_t> place;  // of nodes

  explicit Side(const PipelineArgs& args) : pipeline(load_checked(args)) {
    resolve_device(pipeline.run);
    resolved = resolved_json(pipeline);
    for (size_t n = 0; n < pipeline.nodes.size(); ++n) place[pipeline.nodes[n].name] = n;
  }
  const CheckedNode* find(const std::string& name) const {
    const auto found = place.find(name);
    return found == place.end() ? nullptr : &pipeline.nodes[found->second];
  }
  const ordered_json& json(const std::string& name) const { return resolved["nodes"][name]; }
};

/// {"path", "from", "to"} per value that differs; null where there is none.
void add_changes(const ordered_json& a, const ordered_json& b, const std::string& where, ordered_json& out) {
  if (a == b) return;
  if (!a.is_object() || !b.is_object()) {
    out.push_back({{"path", where}, {"from", a}, {"to", b}});
    return;
  }
  for (const auto& [key, value] : a.items()) add_changes(value, b.contains(key) ? b[key] : ordered_json(), where + "." + key, out);
  for (const auto& [key, value] : b.items()) {
    if (!a.contains(key)) out.push_back({{"path", where + "." + key}, {"from", ordered_json()}, {"to", value}});
  }
}

/// What an object has at the key; `none` where it is no object, or has nothing there.
const ordered_json& at(const ordered_json& object, const char* key, const ordered_json& none) {
  const auto found = object.find(key);  // of what is no object: the end
  return found == object.end() ? none : *found;
}

/// For models or nodes: those that only one side has, and the differences of the others.
void section_changes(const ordered_json& a, const ordered_json& b, const char* section, ordered_json& out) {
  const ordered_json none = ordered_json::object(), null;
  const ordered_json &left = at(a, section, none), &right = at(b, section, none);
  if (!left.is_object() || !right.is_object()) return add_changes(left, right, section, out);
  for (const auto& [name, value] : left.items()) {
    const std::string path = std::string(section) + "." + name;
    const ordered_json& type = at(value, "type", null);
    if (!right.contains(name)) {
      out.push_back({{"path", path}, {"from", type}, {"to", null}});
    } else if (const ordered_json& other = at(right[name], "type", null); type != other) {
      out.push_back({{"path", path + ".type"}, {"from", type}, {"to", other}});
    } else {
      add_changes(value, right[name], path, out);
    }
  }
  for (const auto& [name, value] : right.items()) {
    if (!left.contains(name)) out.push_back({{"path", std::string(section) + "." + name}, {"from", null}, {"to", at(value, "type", null)}});
  }
}

/// The reasons why outputs of host nodes differ between the sides; an empty reason: they are the same for every sample.
class Values {
 public:
  Values(const Side& a, const Side& b) : a_(a), b_(b) {
    for (const CheckedNode& node : a.pipeline.nodes) {
      if (node.scope() <= Scope::batch && b.find(node.name) != nullptr) reasons_[node.name] = reason(node);
    }
  }
  /// In the order of the first pipeline.
  std::vector<std::pair<std::string, std::string>> all() const {
    std::vector<std::pair<std::string, std::string>> out;
    for (const CheckedNode& node : a_.pipeline.nodes) {
      if (const auto found = reasons_.find(node.name); found != reasons_.end()) out.emplace_back(node.name, found->second);
    }
    return out;
  }

 private:
  std::string reason(const CheckedNode& node) const {
    const CheckedNode& other = *b_.find(node.name);
    if (a_.pipeline.seed != b_.pipeline.seed) return "the seed";
    if (node.stream != other.stream) return "its stream";
    for (const PortSource& from : node.sources) {
      if (from.node < 0) continue;
      const std::string& before = a_.pipeline.nodes[static_cast<size_t>(from.node)].name;
      const auto found = reasons_.find(before);
      if (found == reasons_.end()) return before + ", which is gone";
      if (!found->second.empty()) return before;
    }
    ordered_json left = a_.json(node.name), right = b_.json(node.name);
    if (left["type"] != right["type"]) return "its type";
    if (left.value("in", ordered_json()) != right.value("in", ordered_json())) return "its inputs";
    return left == right ? "" : "its parameters";
  }

  const Side &a_, &b_;
  std::map<std::string, std::string> reasons_;
};

/// The models whose checkpoints fit the other pipeline, and whether a run can be resumed.
ordered_json checkpoints(const Side& a, const Side& b) {
  ordered_json fits = ordered_json::array(), differ = ordered_json::array();
  const ordered_json none = ordered_json::object();
  const ordered_json left = a.resolved.value("models", none), right = b.resolved.value("models", none);
  // A model is defined by its parameters and by those of the models that it refers to.
  const auto same = [&](const auto& self, const std::string& name) -> bool {
    if (!left.contains(name) || !right.contains(name) || left[name] != right[name]) return false;
    for (const auto& [key, value] : left[name].items()) {
      if (!value.is_string() || key == "type") continue;
      const std::string other = value;
      if (left.contains(other) && !self(self, other)) return false;
    }
    return true;
  };
  for (const auto& [name, value] : left.items()) (same(same, name) ? fits : differ).push_back(name);
  return {{"fit", fits}, {"differ", differ}, {"resume", pipeline_hash(a.resolved) == pipeline_hash(b.resolved)}};
}

}  // namespace

ordered_json resolved_changes(const ordered_json& left, const ordered_json& right) {
  const ordered_json null;
  ordered_json out = ordered_json::array();
  for (const char* part : {"seed", "run"}) add_changes(at(left, part, null), at(right, part, null), part, out);
  for (const char* section : {"models", "nodes"}) section_changes(left, right, section, out);
  return out;
}

ordered_json diff(const PipelineArgs& left, const PipelineArgs& right) {
  const Side a(left), b(right);
  ordered_json out = {{"changes", resolved_changes(a.resolved, b.resolved)}};
  out["same_values"] = ordered_json::array();
  out["other_values"] = ordered_json::object();
  for (const auto& [name, why] : Values(a, b).all()) {
    if (why.empty()) {
      out["same_values"].push_back(name);
    } else {
      out["other_values"][name] = why;
    }
  }
  out["checkpoints"] = checkpoints(a, b);
  return out;
}

}  // namespace flowrun::app
