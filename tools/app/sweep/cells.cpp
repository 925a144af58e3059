// Files of finished runs.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "graph/compose/pipeline.h"
#include "graph/text/json.h"
#include "io/run/run_directory.h"
#include "tools/app/json_files.h"
#include "tools/app/sweep/found.h"
#include "tools/app/sweep/sha256.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

/// The settings besides the seed.
ordered_json key_of(const Variant& variant) {
  ordered_json sets = ordered_json::array();
  for (const std::string& set : variant.pipeline.sets) {
    if (!variant.seed || !set.starts_with("seed=")) sets.push_back(set);
  }
  return {{"pipeline", variant.variant}, {"seed", variant.seed ? ordered_json(*variant.seed) : ordered_json()}, {"set", sets}};
}

/// The parts that are used anywhere in a pipeline's content.
void add_used(const Value& content, std::set<std::string>& used) {
  for (const Member& member : content.members) {
    if (member.key == "use" && member.value.is(Value::Kind::string)) used.insert(member.value.string);
    add_used(member.value, used);
  }
  for (const Value& item : content.items) add_used(item, used);
}

fs::path resolved(const fs::path& path) { return fs::weakly_canonical(fs::absolute(path)); }

Found found_in(const ordered_json& line) {
  Found out;
  out.status = "done";
  out.steps = line.value("steps", int64_t{0});
  out.seconds_per_step = line.value("step", 0.0);
  out.result["steps"] = out.steps;
  for (const auto& [node, curve] : line.at("curves").items()) {
    for (const ordered_json& point : curve) out.curves[node].emplace_back(point.at(0).get<int64_t>(), point.at(1).get<double>());
    if (!line.contains("metrics") && !out.curves[node].empty()) out.metrics.emplace_back(node + ".accuracy", out.curves[node].back().second);
  }
  if (!line.contains("metrics")) return out;
  for (const auto& [metric, value] : line["metrics"].items()) out.metrics.emplace_back(metric, value.get<double>());
  return out;
}

}  // namespace

std::string sources_hash(const fs::path& pipeline) {
  std::string texts;
  std::map<std::string, fs::path> parts;
  std::set<std::string> used;
  std::set<fs::path> seen;
  std::vector<fs::path> ahead = {resolved(pipeline)};
  for (size_t next = 0; next < ahead.size(); ++next) {
    const fs::path path = ahead[next];
    if (!seen.insert(path).second) continue;
    Diagnostics faults;
    const Value content = parse_json_file(path.string(), {}, faults);
    if (!faults.empty()) throw PipelineError(faults.render());
    if (next > 0) texts += '\0';
    texts += content.where.source->text;
    add_used(content, used);
    const auto beside = [&](const Value& file) { return resolved(path.parent_path() / file.string); };
    if (const Value* of = content.find("parts")) {
      for (const Member& part : of->members) {
        if (part.value.is(Value::Kind::string)) parts[part.key] = beside(part.value);
      }
    }
    if (const Value* base = content.find("extends"); base != nullptr && base->is(Value::Kind::string)) {
      ahead.push_back(resolved(pipeline_file(base->string, path.parent_path(), base->where, faults)));
      if (!faults.empty()) throw PipelineError(faults.render());
    }
    for (const std::string& name : used) {
      if (parts.contains(name)) ahead.push_back(parts[name]);
    }
  }
  return sha256(texts).substr(0, 16);
}

Cells::Cells(std::string path) : path_(std::move(path)) {
  if (path_.empty()) return;
  each_line(path_, [&](const ordered_json& line) {
    try {
      const ordered_json key = {{"pipeline", line.at("pipeline")}, {"seed", line.at("seed")}, {"set", line.at("set")}};
      cells_.push_back({key, line.at("sources"), found_in(line)});
    } catch (const nlohmann::json::exception& error) {
      throw PipelineError("error: " + path_ + ": a line does not describe a finished run: " + error.what());
    }
  });
}

std::optional<Found> Cells::find(const Variant& variant, bool& other) const {
  other = false;
  if (cells_.empty()) return {};
  const ordered_json key = key_of(variant);
  const std::string& sources = sources_of(variant.pipeline.file);
  for (auto cell = cells_.rbegin(); cell != cells_.rend(); ++cell) {
    if (cell->key != key) continue;
    if (cell->sources == sources) {
      other = false;
      return cell->found;
    }
    other = true;
  }
  return {};
}

const std::string& Cells::sources_of(const std::string& pipeline) const {
  std::string& sources = sources_[pipeline];
  if (sources.empty()) sources = sources_hash(pipeline);
  return sources;
}

void Cells::add(const Variant& variant, const Found& found) {
  if (path_.empty() || !found.is_done() || found.metrics.empty()) return;
  ordered_json line = key_of(variant);
  line["sources"] = sources_of(variant.pipeline.file);
  line["curves"] = ordered_json::object();
  for (const auto& [node, curve] : found.curves) line["curves"][node] = curve;
  line["metrics"] = ordered_json::object();
  for (const auto& [metric, value] : found.metrics) line["metrics"][metric] = value;
  line["step"] = found.seconds_per_step;
  line["steps"] = found.steps;
  if (fs::path(path_).has_parent_path()) fs::create_directories(fs::path(path_).parent_path());
  io::JsonLines(path_).append(line);
  cells_.push_back({key_of(variant), line["sources"], found});
}

}  // namespace flowrun::app
