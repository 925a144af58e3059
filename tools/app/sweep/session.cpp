#include "tools/app/sweep/session.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "graph/text/json_text.h"
#include "io/run/run_directory.h"
#include "io/run/tensorboard.h"
#include "tools/app/evaluated.h"
#include "tools/app/json_files.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

/// The value at a path of keys and indices; null: there is none.
const ordered_json* follow(const ordered_json* at, const std::string& path) {
  for (size_t begin = 0; at != nullptr && begin <= path.size();) {
    const size_t end = std::min(path.find('.', begin), path.size());
    const std::string key = path.substr(begin, end - begin);
    begin = end + 1;
    if (at->is_array()) {
      const bool number = !key.empty() && key.size() < 9 && key.find_first_not_of("0123456789") == std::string::npos;
      const size_t index = number ? std::stoul(key) : at->size();
      at = index < at->size() ? &(*at)[index] : nullptr;
    } else {
      at = at->is_object() && at->contains(key) ? &(*at)[key] : nullptr;
    }
  }
  return at;
}

const ordered_json* value_at(const ordered_json& pipeline, const std::string& path) {
  for (const char* section : {"", "nodes.", "models."}) {
    if (const ordered_json* found = follow(&pipeline, section + path)) return found;
  }
  return nullptr;
}

/// The value that --set gives a path which resolved pipelines lack ("let.width"); null: it is not set.
ordered_json given(const std::vector<std::string>& sets, const std::string& path) {
  ordered_json out;
  for (const std::string& set : sets) {
    if (set.starts_with(path + "=")) out = json_of(std::string_view(set).substr(path.size() + 1));
  }
  return out;
}

std::variant<double, bool, std::string> cell(const ordered_json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number()) return value.get<double>();
  return value.is_string() ? value.get<std::string>() : json_text(value);
}

}  // namespace

void add_session(const std::filesystem::path& run, const PipelineArgs& pipeline, const std::set<std::string>& paths) {
  const io::RunPaths files(run);
  const ordered_json result = read_json(files.result), resolved = read_json(files.pipeline);
  if (words_at(result, "status") != "done") return;
  io::Session session;
  session.hyperparameters["pipeline"] = std::filesystem::path(pipeline.file).filename().string();
  for (const std::string& path : paths) {
    const ordered_json* const found = value_at(resolved, path);
    const ordered_json value = found != nullptr ? *found : given(pipeline.sets, path);
    if (!value.is_null() && !value.is_discarded()) session.hyperparameters[path] = cell(value);
  }
  for (const auto& [node, entry] : result.items()) {
    if (!is_evaluation(entry)) continue;
    each_metric(entry, [&, of = node](const std::string& name, double value) { session.results[of + "/" + name] = value; });
  }
  session.step = result.value("steps", int64_t{0});
  session.end = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  session.begin = session.end - result.value("seconds", 0.0);
  io::add_session(run, session);
}

}  // namespace flowrun::app
