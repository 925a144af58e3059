#include "tools/app/load/check.h"

#include <algorithm>

#include "graph/contract/device.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

bool same_place(const Location& a, const Location& b) { return a.source == b.source && a.offset == b.offset; }

bool holds(const Value& value, const Location& where) {
  const auto is_there = [&](const Location& here) { return same_place(here, where); };
  return is_there(value.where) || std::any_of(value.items.begin(), value.items.end(), [&](const Value& item) { return holds(item, where); }) ||
         std::any_of(value.members.begin(), value.members.end(),
                     [&](const Member& member) { return is_there(member.key_where) || holds(member.value, where); });
}

/// The node in whose definition the place is; null for a place elsewhere.
ordered_json node_at(const Value& pipeline, const Location& where) {
  const Value* const nodes = pipeline.find("nodes");
  if (nodes == nullptr || !where.source) return nullptr;
  for (const Member& node : nodes->members) {
    if (same_place(node.key_where, where) || holds(node.value, where)) return node.key;
  }
  return nullptr;
}

ordered_json fault_json(const Diagnostics::Fault& fault, const Value& pipeline) {
  ordered_json out = {{"file", nullptr}, {"line", nullptr}, {"column", nullptr}, {"node", node_at(pipeline, fault.where)}};
  if (fault.where.source) {
    const LineColumn place = line_and_column(fault.where);
    out["file"] = fault.where.source->name, out["line"] = place.line, out["column"] = place.column;
  }
  out["message"] = fault.message;
  out["hint"] = fault.hint.empty() ? ordered_json(nullptr) : ordered_json(fault.hint);
  out["used_at"] = ordered_json::array();
  for (const Location& use : uses_of(fault.where)) {
    const LineColumn place = line_and_column(use);
    out["used_at"].push_back({{"file", use.source->name}, {"line", place.line}, {"column", place.column}});
  }
  return out;
}

}  // namespace

ordered_json check(const PipelineArgs& args) {
  const Loaded loaded = load(args);
  ordered_json out = {{"file", args.file}, {"faults", ordered_json::array()}};
  for (const Diagnostics::Fault& fault : loaded.faults.sorted()) out["faults"].push_back(fault_json(fault, loaded.pipeline));
  if (loaded.faults.empty()) out["nodes"] = loaded.checked->nodes.size(), out["models"] = loaded.checked->models.size();
  return out;
}

ordered_json expand(const PipelineArgs& args) {
  CheckedPipeline pipeline = load_checked(args);
  resolve_device(pipeline.run);
  return resolved_json(pipeline);
}

}  // namespace flowrun::app
