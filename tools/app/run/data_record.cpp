#include "tools/app/run/data_record.h"

#include <algorithm>

#include "graph/text/json_text.h"
#include "io/file.h"
#include "tools/app/json_files.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

std::filesystem::path path_of(const io::RunPaths& paths) { return paths.root / "data.json"; }

/// "18 samples, 12345 bytes"
std::string numbers(const ordered_json& source) {
  return std::to_string(source.value("count", uint64_t{0})) + " samples, " + std::to_string(source.value("bytes", uint64_t{0})) + " bytes";
}

bool same(const ordered_json& a, const ordered_json& b) {
  return a.value("count", uint64_t{0}) == b.value("count", uint64_t{0}) && a.value("hash", "") == b.value("hash", "");
}

}  // namespace

std::optional<DataRecord> DataRecord::read(const io::RunPaths& paths, int64_t step) {
  std::error_code ignored;
  if (!std::filesystem::exists(path_of(paths), ignored)) return {};
  DataRecord out;
  out.record_ = read_json(path_of(paths));
  if (!out.record_.is_object() || !out.record_.contains("sources")) {
    throw PipelineError("error: " + path_of(paths).string() + " is damaged: it names no sources");
  }
  // A checkpoint from before a change: the change is undone.
  while (const auto change = out.last_change()) {
    if (change->after_step <= step) break;
    ordered_json& changes = out.record_["changes"];
    const ordered_json before = changes.back().at("before");
    changes.erase(changes.size() - 1);
    out.record_["sources"] = before.at("sources"), out.record_["steps_per_epoch"] = before.at("steps_per_epoch");
  }
  return out;
}

std::string DataRecord::differences(const ordered_json& sources) const {
  std::string out;
  for (const auto& [name, now] : sources.items()) {
    const auto then = record_.at("sources").find(name);
    if (then == record_.at("sources").end() || same(*then, now)) continue;
    const std::string before = numbers(*then), after = numbers(now);
    out += "\n  " + name + ": " + before + " then; " + after + " now";
    if (before == after) out += ", but other names or sizes (hash " + then->value("hash", "") + " then, " + now.value("hash", "") + " now)";
  }
  return out;
}

bool DataRecord::counts_differ(const ordered_json& sources) const {
  for (const auto& [name, now] : sources.items()) {
    const auto then = record_.at("sources").find(name);
    if (then != record_.at("sources").end() && then->value("count", uint64_t{0}) != now.value("count", uint64_t{0})) return true;
  }
  return false;
}

std::optional<DataChange> DataRecord::last_change() const {
  const auto changes = record_.find("changes");
  if (changes == record_.end() || !changes->is_array() || changes->empty()) return {};
  const ordered_json& last = changes->back();
  return DataChange{last.at("after_step"), last.at("epochs_done"), last.at("progress")};
}

void DataRecord::change(const ordered_json& sources, const std::string& training, int64_t step, int64_t epochs) {
  const ordered_json before = {{"sources", record_.at("sources")}, {"steps_per_epoch", record_.at("steps_per_epoch")}};
  record_["sources"] = sources;
  const ordered_json& then = before.at("sources");
  if (!then.contains(training) || !sources.contains(training) || same(then.at(training), sources.at(training))) return;
  const int64_t per_epoch = std::max<int64_t>(1, before.at("steps_per_epoch"));
  const std::optional<DataChange> last = last_change();
  const int64_t shift = last ? last->epochs_done * per_epoch - last->after_step : 0;
  double progress = static_cast<double>(step + shift) / static_cast<double>(epochs * per_epoch);
  if (last) progress = std::max(progress, last->progress);
  record_["changes"].push_back({{"after_step", step}, {"epochs_done", (step + shift) / per_epoch}, {"progress", progress}, {"before", before}});
}

void DataRecord::set(const Engine& engine) {
  record_["sources"] = engine.data_json();
  record_["steps_per_epoch"] = engine.info().steps_per_epoch;
  if (!record_.contains("changes")) record_["changes"] = ordered_json::array();
}

void DataRecord::write(const io::RunPaths& paths) const { io::write_file_atomic(path_of(paths), json_text(record_, 2) + "\n"); }

}  // namespace flowrun::app
