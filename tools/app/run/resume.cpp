#include "tools/app/run/resume.h"

#include <cstdlib>

#include "graph/check/resolved.h"
#include "graph/contract/context.h"
#include "graph/node.h"
#include "graph/text/json_text.h"
#include "graph/text/names.h"
#include "io/file.h"
#include "io/run/checkpoint.h"
#include "io/run/safetensors.h"
#include "io/run/tensorboard.h"
#include "io/strict_json.h"
#include "nodes/lib/tensor/report/feature_history.h"

namespace flowrun::app {
namespace {

State read_state(const std::filesystem::path& path) {
  const auto file = std::make_shared<io::SafetensorsFile>(path);
  State state;
  for (const io::TensorEntry& entry : file->entries()) {
    state[entry.name] = {entry.dtype, entry.shape, {file, entry.data.data()}, entry.data.size()};
  }
  return state;
}

/// Parameters that a type, or "run", has had since the pipeline was stored stand at their defaults in it; a model where a list of them stands now
/// is a list of one.
void add_defaults(nlohmann::ordered_json& object, const std::vector<ParamDoc>& params) {
  for (const ParamDoc& param : params) {
    const auto stored = object.find(param.name);
    if (!param.members.empty() && param.initial.empty()) {
      add_defaults(object[param.name], param.members);
    } else if (stored == object.end()) {
      if (!param.initial.empty()) object[param.name] = json_of(param.initial);
    } else if (!param.members.empty() && stored->is_object()) {  // a number or an object
      add_defaults(*stored, param.members);
    } else if (param.kind == "models" && stored->is_string()) {
      *stored = nlohmann::ordered_json::array({*stored});
    }
  }
}

template <class Find>
void add_defaults_of(nlohmann::ordered_json& pipeline, const char* section, Find find) {
  if (!pipeline.contains(section) || !pipeline[section].is_object()) return;
  for (auto& [name, object] : pipeline[section].items()) {
    if (!object.is_object() || !object.contains("type") || !object["type"].is_string()) continue;
    if (const auto* const type = find(object["type"].template get<std::string>())) add_defaults(object, type->params);
  }
}

/// Whether output `port` of a node stays empty, since the optional input of that name is not connected.
bool stays_empty(const nlohmann::json& node, const std::string& port) {
  const NodeType* const type = find_node_type(node.value("type", std::string()));
  if (type == nullptr || node.value("in", nlohmann::json::object()).contains(port)) return false;
  return std::any_of(type->ports.begin(), type->ports.end(), [&](const PortDoc& doc) { return doc.input && doc.optional && doc.name == port; });
}

/// Types get ports, which "node.*" then connects: where the stored pipeline lacks a connection that brings nothing, it is left out.
nlohmann::json without_empty(nlohmann::json now, const nlohmann::json& stored) {
  if (!now.contains("nodes") || !stored.contains("nodes")) return now;
  const nlohmann::json all = now["nodes"], none = nlohmann::json::object();
  for (auto& [name, node] : now["nodes"].items()) {
    if (!node.contains("in") || !node["in"].is_object() || !stored["nodes"].contains(name)) continue;
    const nlohmann::json before = stored["nodes"][name].value("in", none);
    std::vector<std::string> empty;
    for (const auto& [port, from] : node["in"].items()) {
      if (before.contains(port) || !from.is_string()) continue;
      const std::string source = from.get<std::string>();
      const size_t dot = source.rfind('.');
      if (dot != std::string::npos && all.contains(source.substr(0, dot)) && stays_empty(all[source.substr(0, dot)], source.substr(dot + 1)))
        empty.push_back(port);
    }
    for (const std::string& port : empty) node["in"].erase(port);
  }
  return now;
}

}  // namespace

nlohmann::ordered_json stored_pipeline(const io::RunPaths& paths) {
  std::vector<uint8_t> text;
  io::read_file(paths.pipeline, text);
  nlohmann::ordered_json out = io::parse_strict_json({reinterpret_cast<const char*>(text.data()), text.size()}, paths.pipeline.string());
  RunParams run;
  ParamSetOf<RunParams> params(run);
  if (out.contains("run") && out["run"].is_object()) add_defaults(out["run"], document_params(params));
  add_defaults_of(out, "models", [](const std::string& type) { return find_model_type(type); });
  add_defaults_of(out, "nodes", [](const std::string& type) { return find_node_type(type); });
  return out;
}

void adopt(RunParams& run, const nlohmann::ordered_json& stored) {
  const auto& began = stored.at("run");
  if (run.device == "auto") run.device = began.at("device");
  if (run.precision == "auto") run.precision = began.at("precision");
  if (run.intra_op == 0) run.intra_op = began.at("intra_op");
}

void require_same(const nlohmann::ordered_json& stored, const nlohmann::ordered_json& now, bool places) {
  const nlohmann::json then = what_matters(stored, places), here = without_empty(what_matters(now, places), then);
  if (then == here) return;
  std::string differences;
  int count = 0;
  for (const auto& change : nlohmann::json::diff(then, here)) {
    std::string path = change.at("path").get<std::string>().substr(1);
    std::replace(path.begin(), path.end(), '/', '.');
    if (++count <= 8) differences += "\n  " + path + (change.contains("value") ? " is now " + json_text(change.at("value")) : " is gone");
  }
  if (count > 8) differences += "\n  and " + std::to_string(count - 8) + " more";
  throw PipelineError("error: the run began with another pipeline:" + differences +
                      "\nresume with the pipeline it began with, or start a new run with --out");
}

std::optional<ResumePoint> resume_point(const io::RunPaths& paths) {
  std::vector<std::string> skipped;
  const auto directory = io::newest_complete_checkpoint(paths.checkpoints, &skipped);
  for (const std::string& reason : skipped) log_warning(reason);
  if (!directory) return {};
  ResumePoint point;
  const io::Manifest manifest = io::open_checkpoint(*directory);
  point.step = manifest.step;
  for (const io::CheckpointFile& file : manifest.files) {
    const std::filesystem::path name = file.name;
    if (name.extension() == ".safetensors") point.snapshot[name_of_stem(name.stem().string())] = read_state(*directory / name);
  }
  return point;
}

void cut_records(const io::RunPaths& paths, std::optional<int64_t> point) {
  const int64_t step = point.value_or(0);
  io::truncate_json_lines(paths.metrics, step);
  io::truncate_json_lines(paths.quarantine, step);
  // The evaluation of the checkpoint's own step is repeated.
  io::truncate_json_lines(paths.root / "evaluations.jsonl", point ? step - 1 : -1);
  io::truncate_events(paths.root, step);
  remove_features_after(paths.root, point ? step : -1);
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(paths.best, ignored)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("step-") && std::strtoll(name.c_str() + 5, nullptr, 10) > step) std::filesystem::remove_all(entry.path(), ignored);
  }
}

}  // namespace flowrun::app
