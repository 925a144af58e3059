#include "graph/check/resolved.h"

#include <nlohmann/json.hpp>

#include "graph/check/entries.h"
#include "graph/contract/version.h"
#include "graph/text/json_text.h"

namespace flowrun {
namespace {

using nlohmann::ordered_json;

ordered_json connections(const CheckedPipeline& p, const CheckedNode& node) {
  auto in = ordered_json::object();
  for (size_t i = 0; i < node.sources.size(); ++i) {
    const PortSource& source = node.sources[i];
    if (source.node < 0) continue;
    const CheckedNode& from = p.nodes[source.node];
    const PortDoc& port = node.ports[i];
    const std::string text = from.name + "." + from.ports[source.port].name;
    if (port.list) {
      in[port.name].push_back(text);
    } else {
      in[port.name] = text;
    }
  }
  return in;
}

ordered_json moments(const EvaluationTimes& at) {
  auto out = ordered_json::array();
  if (at.start) out.push_back("start");
  if (at.every_epochs) out.push_back(std::to_string(at.every_epochs) + " epochs");
  if (at.every_steps) out.push_back(std::to_string(at.every_steps) + " steps");
  if (at.end) out.push_back("end");
  return out;
}

ordered_json node_json(const CheckedPipeline& p, const CheckedNode& node) {
  ordered_json out{{"type", node.type->info.type}};
  if (ordered_json in = connections(p, node); !in.empty()) out["in"] = std::move(in);
  if (!node.after.empty()) {
    out["after"] = ordered_json::array();
    for (const int n : node.after) out["after"].push_back(p.nodes[n].name);
  }
  if (node.stream_name != node.name) out["stream"] = node.stream_name;
  if (node.scope() == Scope::evaluation) out["at"] = moments(node.at);
  out.update(write_params(node.node->params()));
  return out;
}

}  // namespace

ordered_json resolved_json(CheckedPipeline& p) {
  ordered_json out;
  out["about"] = p.about;
  out["resolved"] = {{"version", version}, {"hash", ""}};
  out["seed"] = p.seed;
  ParamSetOf<RunParams> run(p.run);
  out["run"] = write_params(run);
  if (!p.plugins.empty()) out["plugins"] = p.plugins;
  out["models"] = ordered_json::object();
  for (const CheckedModel& model : p.models) {
    ordered_json entry{{"type", model.type->info.type}};
    entry.update(write_params(model.model->params()));
    out["models"][model.name] = std::move(entry);
  }
  out["nodes"] = ordered_json::object();
  for (const std::string& name : p.node_order) {
    for (const CheckedNode& node : p.nodes) {
      if (node.name == name) out["nodes"][name] = node_json(p, node);
    }
  }
  out["resolved"]["hash"] = pipeline_hash(out);
  return out;
}

nlohmann::json what_matters(const ordered_json& resolved, bool places) {
  nlohmann::json plain = resolved;
  for (const char* key : {"about", "resolved", "plugins"}) plain.erase(key);
  const auto forget = [&](nlohmann::json& object, const std::vector<ParamDoc>& params) {
    for (const ParamDoc& param : params) {
      if (param.incidental || (param.movable && !places)) object.erase(param.name);
    }
  };
  RunParams run;
  ParamSetOf<RunParams> params(run);
  forget(plain["run"], document_params(params));
  for (auto& model : plain["models"]) {
    if (const ModelType* const type = find_model_type(model["type"].get<std::string>())) forget(model, type->params);
  }
  for (auto& node : plain["nodes"]) {
    const NodeType* const type = find_node_type(node["type"].get<std::string>());
    if (type == nullptr) continue;
    forget(node, type->params);
    if (type->info.scope == Scope::evaluation) node.erase("at");
  }
  return plain;
}

std::string pipeline_hash(const ordered_json& resolved) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash_text(json_text(what_matters(resolved)))));
  return text;
}

}  // namespace flowrun
