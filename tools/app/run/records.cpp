#include "tools/app/run/records.h"

#include <algorithm>

#include "graph/contract/log.h"
#include "graph/text/json_text.h"
#include "io/file.h"
#include "tools/app/escape.h"
#include "tools/app/evaluated.h"
#include "tools/app/json_files.h"
#include "tools/app/text.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

/// One row of result.md for each number that the evaluation found last.
std::string table_rows(const std::string& node, const ordered_json& entry) {
  std::string rows;
  if (!entry.is_object()) return rows;
  each_metric(entry, [&](const std::string& metric, double value) {
    rows += "| " + markdown_cell(node) + " | " + markdown_cell(metric) + " | " + print("%.6g", value) + " | " +
            markdown_cell(words_at(entry, "selected_on")) + " |\n";
  });
  return rows;
}

}  // namespace

void Records::evaluation(const std::string& node, const EvaluationContext& context) {
  ordered_json line = {{"node", node}, {"step", context.step}, {"epoch", context.epoch}};
  std::string text;
  for (const auto& [name, value] : context.reports) {
    line[name] = value;
    char number[64];
    std::snprintf(number, sizeof number, "%s%s %.4g", text.empty() ? "" : ", ", name.c_str(), value);
    text += number;
  }
  for (const auto& [name, words] : context.notes) {
    line[name] = words;
    text += (text.empty() ? "" : ", ") + name + " " + words;
  }
  io::JsonLines(evaluations()).append(line);
  log_info("evaluation " + node + " after step " + std::to_string(context.step) + ": " + text);
}

void Records::quarantine(const BadSample& bad, const RunInfo& run) {
  // It is met again in every epoch.
  if (named_.insert(bad.key).second) {
    log_warning((bad.kept ? "kept a sample: " : "replaced a sample that failed: ") + bad.key + "\n  " + bad.error);
  }
  if (!bad.training) return;
  if (!quarantine_) quarantine_.emplace(paths_.quarantine);
  const int64_t step = static_cast<int64_t>(bad.epoch) * run.steps_per_epoch + static_cast<int64_t>(bad.position) / std::max<int64_t>(1, run.batch) +
                       1 - run.epoch_shift;
  ordered_json line = {{"step", step},         {"epoch", bad.epoch}, {"position", bad.position},
                       {"sample", bad.sample}, {"key", bad.key},     {"error", bad.error}};
  if (bad.kept) line["kept"] = true;
  quarantine_->append(line);
}

void Records::failed_step(int64_t step, const std::vector<StepSample>& samples) {
  ordered_json list = ordered_json::array();
  for (const StepSample& s : samples) list.push_back({{"epoch", s.epoch}, {"position", s.position}, {"sample", s.sample}, {"key", s.key}});
  const std::filesystem::path path = paths_.root / ("failed-step-" + std::to_string(step) + ".json");
  io::write_file_atomic(path, json_text(ordered_json{{"step", step}, {"samples", list}}, 2) + "\n");
  log_info("the samples of step " + std::to_string(step) + " are listed in " + path.string());
}

void Records::finish(const Engine* engine, ordered_json result) {
  if (engine) io::write_file_atomic(paths_.stats, json_text(engine->stats_json(), 2) + "\n");
  std::string table;
  each_line(evaluations(), [&](ordered_json entry) {
    const std::string node = words_at(entry, "node");
    const bool known = !result.contains(node) || is_evaluation(result[node]);
    if (node.empty() || !known) return;  // a line from another source than a run
    entry.erase("node");
    auto history = result.contains(node) ? result[node]["history"] : ordered_json::array();
    history.push_back(entry);
    result[node] = entry;
    result[node]["history"] = std::move(history);
  });
  for (const auto& [node, entry] : result.items()) table += table_rows(node, entry);
  const std::string head = "| node | metric | value | selected on |\n|---|---|---|---|\n";
  if (!table.empty()) io::write_file_atomic(paths_.root / "result.md", head + table);
  io::write_file_atomic(paths_.result, json_text(result, 2) + "\n");
}

}  // namespace flowrun::app
