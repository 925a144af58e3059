// schema: the JSON Schema of pipeline files (draft 2020-12), so that editors complete and check while one types.
#include "tools/app/load/schema.h"

#include <nlohmann/json.hpp>

#include "graph/check/entries.h"
#include "graph/text/json_text.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

ordered_json object_schema(const std::vector<ParamDoc>& params);

ordered_json number_schema(const char* type, const Range& range) {
  ordered_json out = {{"type", type}};
  if (std::isfinite(range.low)) out["minimum"] = range.low;
  if (std::isfinite(range.high)) out["maximum"] = range.high;
  return out;
}

/// The value, or the name of one of "let".
ordered_json or_let(ordered_json value) { return {{"anyOf", {std::move(value), {{"type", "string"}, {"pattern", "^\\$"}}}}}; }

/// The schema of the value itself.
ordered_json value_schema(const ParamDoc& param) {
  if (!param.choices.empty()) return {{"enum", param.choices}};
  if (param.kind == "true or false") return {{"type", "boolean"}};
  if (param.kind == "integer") return number_schema("integer", param.range);
  if (param.kind == "integer or auto") return {{"anyOf", {number_schema("integer", param.range), {{"const", "auto"}}}}};
  if (param.kind == "number") return number_schema("number", param.range);
  if (param.kind == "list of integers") return {{"type", "array"}, {"items", or_let(number_schema("integer", param.range))}};
  if (param.kind == "list of numbers") return {{"type", "array"}, {"items", or_let(number_schema("number", param.range))}};
  if (param.kind == "list of pairs") {
    const ordered_json pair = {{"type", "array"}, {"items", number_schema("number", param.range)}, {"minItems", 2}, {"maxItems", 2}};
    return {{"type", "array"}, {"items", pair}};
  }
  ordered_json strings = {{"type", "array"}, {"items", {{"type", "string"}}}};
  if (param.kind == "list of strings") return strings;
  if (param.kind == "models") return {{"anyOf", {{{"type", "string"}}, strings}}};
  if (param.kind == "object") return object_schema(param.members);
  if (param.kind == "number or list") {
    const ordered_json number = number_schema("number", param.range);
    return {{"anyOf", {number, {{"type", "array"}, {"items", number}, {"minItems", 1}}}}};
  }
  if (param.kind == "number or object") return {{"anyOf", {number_schema("number", param.range), object_schema(param.members)}}};
  return {{"type", "string"}};
}

/// Anything may come from "let".
ordered_json param_schema(const ParamDoc& param) {
  ordered_json value = value_schema(param);
  ordered_json out;
  if (value.value("type", "") == "string") {
    out = std::move(value);
  } else {
    out = or_let(std::move(value));
  }
  out["description"] = param.brief;
  if (!param.required && !param.initial.empty() && param.kind != "object") out["default"] = json_of(param.initial);
  return out;
}

ordered_json properties(const std::vector<ParamDoc>& params) {
  auto out = ordered_json::object();
  for (const ParamDoc& param : params) out[param.name] = param_schema(param);
  return out;
}

ordered_json object_schema(const std::vector<ParamDoc>& params) {
  ordered_json out = {{"type", "object"}, {"properties", properties(params)}, {"additionalProperties", false}};
  for (const ParamDoc& param : params) {
    if (param.required) out["required"].push_back(param.name);
  }
  return out;
}

ordered_json in_schema(const NodeType& type) {
  ordered_json map = {{"type", "object"}, {"properties", ordered_json::object()}, {"additionalProperties", false}};
  for (const PortDoc& port : type.ports) {
    if (!port.input) continue;
    ordered_json from = {{"type", "string"}};
    if (port.list) from = {{"anyOf", {{{"type", "string"}}, {{"type", "array"}, {"items", {{"type", "string"}}}, {"minItems", 1}}}}};
    from["description"] = port.brief;
    map["properties"][port.name] = std::move(from);
  }
  return {{"anyOf", {{{"type", "string"}}, std::move(map)}}, {"description", "NODE, NODE.PORT, NODE.*, or a map from port to one of these"}};
}

ordered_json node_schema(const NodeType& type) {
  ordered_json out = object_schema(type.params);
  out["description"] = type.info.brief;
  ordered_json& p = out["properties"];
  p["type"] = {{"const", type.info.type}};
  p["in"] = in_schema(type);
  p["after"] = {{"anyOf", {{{"type", "string"}}, {{"type", "array"}, {"items", {{"type", "string"}}}}}},
                {"description", "Nodes that come first, without data"}};
  p["stream"] = {{"type", "string"}, {"description", "The name that keys the node's random numbers; default: its own"}};
  if (type.info.scope == Scope::evaluation) {
    p["at"] = {{"anyOf", {{{"type", "string"}}, {{"type", "array"}, {"items", {{"type", "string"}}}}}},
               {"description", "\"start\", \"end\", \"N epochs\", \"N steps\""}};
  }
  return out;
}

ordered_json model_schema(const ModelType& type) {
  ordered_json out = object_schema(type.params);
  out["description"] = type.info.brief;
  out["properties"]["type"] = {{"const", type.info.type}};
  return out;
}

/// Selected by "type", so that an editor reports only the actual fault, not one for each type.
ordered_json by_type(const std::vector<std::pair<std::string, ordered_json>>& schemas) {
  ordered_json out = {{"type", "object"}, {"required", {"type"}}};
  auto types = ordered_json::array();
  out["allOf"] = ordered_json::array();
  for (const auto& [type, schema] : schemas) {
    types.push_back(type);
    out["allOf"].push_back({{"if", {{"properties", {{"type", {{"const", type}}}}}}}, {"then", schema}});
  }
  out["properties"]["type"] = or_let({{"enum", std::move(types)}});
  return out;
}

ordered_json strings_by_name(const char* description) {
  return {{"type", "object"}, {"additionalProperties", {{"type", "string"}}}, {"description", description}};
}

/// A node that uses a part: its parameters are the part's let.
ordered_json use_schema() {
  const ordered_json text = {{"type", "string"}};
  ordered_json out = {{"type", "object"}, {"required", {"use"}}, {"not", {{"required", {"type"}}}}};
  ordered_json& p = out["properties"];
  p["use"] = {{"type", "string"}, {"description", "A name of \"parts\""}};
  p["in"] = {{"anyOf", {text, strings_by_name("Input of the part to NODE or NODE.PORT")}}, {"description", "NODE, NODE.PORT, NODE.*, or a map"}};
  p["after"] = {{"anyOf", {text, {{"type", "array"}, {"items", text}}}}, {"description", "Nodes that come before the first of the part"}};
  p["stream"] = {{"type", "string"}, {"description", "What its nodes' streams begin with; default: its own name"}};
  p["streams"] = strings_by_name("Node of the part to the name that keys its random numbers");
  return out;
}

ordered_json part_schema() {
  const ordered_json text = {{"type", "string"}};
  return {{"type", "object"},
          {"required", {"nodes"}},
          {"additionalProperties", false},
          {"properties",
           {{"$schema", text},
            {"about", text},
            {"in", {{"type", "array"}, {"items", text}, {"description", "Inputs; its nodes read them as in.NAME"}}},
            {"out",
             {{"anyOf", {text, strings_by_name("Output to NODE or NODE.PORT")}}, {"description", "The node whose outputs are the part's, or a map"}}},
            {"let", {{"type", "object"}, {"description", "Parameters with their defaults; null: must be given"}}},
            {"parts", {{"$ref", "#/$defs/parts"}}},
            {"nodes", {{"type", "object"}, {"additionalProperties", {{"$ref", "#/$defs/node"}}}}}}}};
}

ordered_json parts_schema() {
  return {{"type", "object"},
          {"additionalProperties", {{"if", {{"type", "object"}}}, {"then", {{"$ref", "#/$defs/part"}}}, {"else", {{"type", "string"}}}}},
          {"description", "Parts by name: a file, relative to this one, or the part itself"}};
}

}  // namespace

ordered_json pipeline_schema() {
  std::vector<std::pair<std::string, ordered_json>> nodes, models;
  for (const NodeType* type : node_types()) nodes.emplace_back(type->info.type, node_schema(*type));
  for (const ModelType* type : model_types()) models.emplace_back(type->info.type, model_schema(*type));
  RunParams run;
  ParamSetOf<RunParams> run_set(run);
  const ordered_json node = {{"$ref", "#/$defs/node"}};
  ordered_json pipeline = {{"type", "object"},
                           {"required", {"nodes"}},
                           {"additionalProperties", false},
                           {"properties",
                            {{"$schema", {{"type", "string"}}},
                             {"about", {{"type", "string"}}},
                             {"seed", {{"type", "integer"}, {"minimum", 0}}},
                             {"run", object_schema(document_params(run_set))},
                             {"let", {{"type", "object"}, {"description", "Values that \"$name\" stands for"}}},
                             {"plugins",
                              {{"type", "array"},
                               {"items", {{"type", "string"}}},
                               {"description", "Shared libraries, and files of nodes in Python, relative to this file"}}},
                             {"parts", {{"$ref", "#/$defs/parts"}}},
                             {"models", {{"type", "object"}, {"additionalProperties", {{"$ref", "#/$defs/model"}}}}},
                             {"nodes", {{"type", "object"}, {"additionalProperties", node}}},
                             {"resolved", {{"type", "object"}}}}}};
  ordered_json extension = {
      {"type", "object"},
      {"required", {"extends"}},
      {"additionalProperties", false},
      {"properties",
       {{"extends", {{"type", "string"}, {"description", "Pipeline file, relative to this one; shipped:FILE.json, one that comes with the program"}}},
        {"$schema", {{"type", "string"}}},
        {"about", {{"type", "string"}}},
        {"plugins", {{"type", "array"}, {"items", {{"type", "string"}}}, {"description", "Shared libraries, and files of nodes in Python"}}},
        {"parts", {{"$ref", "#/$defs/parts"}}},
        {"swap", {{"type", "object"}, {"description", "New type and all parameters; in and after stay"}}},
        {"set", {{"type", "object"}, {"description", "Path to new value of what is there"}}},
        {"add", {{"type", "object"}, {"description", "New nodes and models"}}},
        {"drop", {{"type", "array"}, {"items", {{"type", "string"}}}}}}}};
  const ordered_json has_ports = {{"anyOf", {{{"required", {"in"}}}, {{"required", {"out"}}}}}};
  ordered_json without_extends = {{"if", has_ports}, {"then", {{"$ref", "#/$defs/part"}}}, {"else", std::move(pipeline)}};
  ordered_json node_or_use = {{"if", {{"required", {"use"}}}}, {"then", use_schema()}, {"else", by_type(nodes)}};
  return {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
          {"title", "Flowrun pipeline"},
          {"if", {{"required", {"extends"}}}},
          {"then", std::move(extension)},
          {"else", std::move(without_extends)},
          {"$defs", {{"node", std::move(node_or_use)}, {"model", by_type(models)}, {"part", part_schema()}, {"parts", parts_schema()}}}};
}

}  // namespace flowrun::app
