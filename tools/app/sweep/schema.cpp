#include "tools/app/sweep/schema.h"

#include <nlohmann/json.hpp>

#include "tools/app/sweep/grid.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

ordered_json ref(const char* name) { return {{"$ref", std::string("#/$defs/") + name}}; }

ordered_json text(const char* description) { return {{"type", "string"}, {"description", description}}; }

/// An object from PATH to `values`.
ordered_json by_path(ordered_json values, const char* description) {
  return {{"type", "object"}, {"minProperties", 1}, {"additionalProperties", std::move(values)}, {"description", description}};
}

ordered_json range_schema() {
  const ordered_json number = {{"type", "number"}};
  return {{"type", "object"},
          {"required", {"from", "to"}},
          {"additionalProperties", false},
          {"oneOf", {{{"required", {"count"}}}, {{"required", {"step"}}}}},
          {"properties",
           {{"from", number},
            {"to", number},
            {"count", {{"type", "integer"}, {"minimum", 2}, {"maximum", most_runs}, {"description", "How many; both ends are among them"}}},
            {"step", number},
            {"scale", {{"enum", {"linear", "log"}}, {"default", "linear"}, {"description", "log: equal ratios"}}}}}};
}

}  // namespace

ordered_json sweep_schema() {
  const ordered_json seed = {{"type", "integer"}, {"minimum", 0}};
  const ordered_json names = {{"type", "object"}, {"minProperties", 1}, {"propertyNames", {{"pattern", "^[A-Za-z0-9_-][A-Za-z0-9._-]*$"}}}};
  ordered_json variants = names;
  variants["additionalProperties"] = {{"anyOf", {{{"type", "string"}}, {{"type", "object"}}}}};
  variants["description"] = "Name to changes, PATH to value, or to another pipeline's file; the name is a folder's";
  ordered_json out = {{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "Flowrun sweep"}, {"type", "object"}};
  out["additionalProperties"] = false;
  ordered_json& p = out["properties"];
  p["$schema"] = {{"type", "string"}};
  p["about"] = {{"type", "string"}};
  p["base"] = text("Pipeline file that the variants change, relative to this one; shipped:FILE.json, one that comes with the program");
  p["set"] = {{"type", "object"}, {"description", "PATH to value, for all variants, as --set takes them"}};
  p["variants"] = std::move(variants);
  p["grid"] = by_path(ref("values"), "PATH to values: every combination");
  p["zip"] = by_path(ref("values"), "PATH to values: the first ones together, then the second ones, …");
  p["seeds"] = {{"anyOf", {{{"type", "integer"}, {"minimum", 1}}, {{"type", "array"}, {"items", seed}, {"minItems", 1}, {"uniqueItems", true}}}},
                {"description", "Every variant runs with each seed; 3: the seeds 0, 1, 2"}};
  p["baseline"] = text("The variant that the others are compared with; default: the first");
  p["decide"] = text("NODE.METRIC of an evaluation, or loss; default: the first evaluation's accuracy, else its miou, else loss");
  p["goal"] = {{"enum", {"max", "min"}}, {"description", "Whether more of it is better; default: by its name"}};
  p["difference"] = {
      {"type", "number"}, {"exclusiveMinimum", 0}, {"description", "The smallest difference of the metric that matters, in its own unit"}};
  ordered_json named = names;
  named["not"] = {{"required", {"from"}}};
  out["$defs"]["values"] = {{"anyOf", {{{"type", "array"}, {"minItems", 1}}, ref("range"), std::move(named)}},
                            {"description", "A list, a range, or an object from name to value"}};
  out["$defs"]["range"] = range_schema();
  return out;
}

}  // namespace flowrun::app
