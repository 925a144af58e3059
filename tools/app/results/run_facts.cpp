#include "tools/app/results/run_facts.h"

#include <algorithm>

#include "graph/contract/direction.h"
#include "graph/text/error.h"
#include "tools/app/json_files.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

constexpr size_t most_metrics = 120, most_rows = 200, most_bad = 50, most_warnings = 20, most_evaluations = 100, longest_name = 200;
constexpr int64_t most_of_evaluations = 64 << 20;  // bytes of the file

int64_t step_of(const ordered_json& entry) {
  const auto step = entry.find("step");
  return step != entry.end() && step->is_number_integer() ? step->get<int64_t>() : 0;
}

}  // namespace

std::string main_value(const ordered_json& row) {
  for (const char* name : {"accuracy", "miou"}) {
    if (row.contains(name) && row[name].is_number()) return name;
  }
  for (const auto& [name, value] : row.items()) {
    if (value.is_number() && name != "step" && name != "epoch") return name;
  }
  return "";
}

RunFacts::RunFacts(const std::filesystem::path& run, Read read)
    : paths(run),
      pipeline(read_json(RunFile(paths.pipeline, run))),
      result(read_json(RunFile(paths.result, run))),
      stats(read_json(RunFile(paths.stats, run))) {
  if (pipeline.is_null() && !io::holds_run(run)) throw RunError(run.string() + " holds no run: give the directory that flowrun run wrote");
  read_evaluations();
  if (read == Read::evaluations) return;
  read_metrics();
  read_quarantine();
  read_log();
  list_files();
}

void RunFacts::read_metrics() {
  each_line(RunFile(paths.metrics, paths.root), [&](const ordered_json& entry) {
    const int64_t step = step_of(entry);
    ++lines;
    last_step = std::max(last_step, step);
    for (const auto& [name, value] : entry.items()) {
      if (name == "step" || name == "epoch" || !(value.is_number() || value.is_null())) continue;
      if (!metrics.contains(name) && (metrics.size() >= most_metrics || name.size() > longest_name)) continue;
      const auto number = value.is_null() ? std::nullopt : std::optional(value.get<double>());
      metrics[name].add(static_cast<double>(step), number);
      if (name == "loss" && !number && ++not_finite == 1) first_not_finite = step;
    }
  });
}

void RunFacts::read_evaluations() {
  const auto take = [&](ordered_json entry) {
    const auto found = entry.find("node");
    if (found == entry.end() || !found->is_string()) return;
    const std::string node = *found;
    if (!evaluations.contains(node) && (evaluations.size() >= most_evaluations || node.size() > longest_name)) return;
    entry.erase("node");
    const std::string main = main_value(entry);
    for (const auto& [name, value] : entry.items()) {
      if (!value.is_number() || !(is_share(name) || name == main)) continue;
      const std::string curve = node + " " + name;
      if (scores.contains(curve) || (scores.size() < most_metrics && name.size() <= longest_name))
        scores[curve].add(static_cast<double>(step_of(entry)), value.template get<double>());
    }
    auto& rows = evaluations[node];
    if (rows.size() == most_rows) rows.erase(rows.begin());
    rows.push_back(std::move(entry));
  };
  each_line(RunFile(paths.root / "evaluations.jsonl", paths.root), take, most_of_evaluations);
}

void RunFacts::read_quarantine() {
  each_line(RunFile(paths.quarantine, paths.root), [&](const ordered_json& entry) {
    ++quarantined;
    if (bad.size() < most_bad) bad.push_back(entry);
  });
}

void RunFacts::read_log() {
  const auto take = [&](std::string_view line) {
    if (line.find("warning") == std::string_view::npos) return;
    if (warnings.size() == most_warnings) warnings.erase(warnings.begin());
    warnings.emplace_back(line);
  };
  RunFile(paths.log, paths.root).each_line(take, 16 << 10, int64_t{1} << 30);
}

void RunFacts::list_files() {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(paths.root, ignored)) {
    const std::string name = entry.path().filename().string();
    // The target of a link outside of the run does not belong to the run.
    const bool inside = !entry.is_symlink(ignored) || is_below(entry.path(), paths.root);
    if (entry.path().extension() == ".png" && inside && entry.is_regular_file(ignored)) pictures.push_back(entry.path());
    if (name.starts_with("failed-step-")) failed_steps.push_back(entry.path());
  }
  for (const auto& entry : std::filesystem::directory_iterator(paths.checkpoints, ignored)) {
    if (entry.path().filename().string().starts_with("step-")) checkpoints.push_back(entry.path());
  }
  std::sort(pictures.begin(), pictures.end());
  std::sort(failed_steps.begin(), failed_steps.end());
  const auto number = [](const std::filesystem::path& path) { return std::atoll(path.filename().string().c_str() + 5); };
  std::sort(checkpoints.begin(), checkpoints.end(), [&](const auto& a, const auto& b) { return number(a) < number(b); });
}

}  // namespace flowrun::app
