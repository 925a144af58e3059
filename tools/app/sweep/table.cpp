#include "tools/app/sweep/table.h"

#include <algorithm>
#include <cmath>

#include "graph/contract/direction.h"
#include "graph/text/json_text.h"
#include "tools/app/escape.h"
#include "tools/app/json_files.h"
#include "tools/app/sweep/words.h"
#include "tools/app/text.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

std::string cell(const ordered_json& row, const std::string& column) {
  if (!row.contains(column) || row[column].is_null()) return "";
  if (row[column].is_string()) return markdown_cell(row[column].get<std::string>());
  return row[column].is_number() ? print("%.6g", row[column].get<double>()) : json_text(row[column]);
}

std::string line_of(const std::vector<std::string>& cells) { return "| " + join(cells, " | ") + " |\n"; }

std::string table_of(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::string> names;
  for (const std::string& name : head) names.push_back(markdown_cell(name));
  std::string out = line_of(names) + "|";
  for (size_t c = 0; c < head.size(); ++c) out += "---|";
  out += "\n";
  for (const std::vector<std::string>& row : rows) out += line_of(row);
  return out;
}

/// "knn accuracy"
std::string spaced(std::string metric) {
  const size_t dot = metric.rfind('.');
  if (dot != std::string::npos) metric[dot] = ' ';
  return metric;
}

/// "knn accuracy %"
std::string title(const std::string& metric) { return spaced(metric) + (is_share(metric) ? " %" : ""); }

const BySeed& values_of(const std::map<std::string, BySeed>& map, const std::string& name) {
  static const BySeed none;
  const auto found = map.find(name);
  return found == map.end() ? none : found->second;
}

/// Mean and deviation of a metric after training. The deciding metric has its range behind it, and a metric whose values before training differ
/// among variants has that value in front.
std::string value_cell(const Answer& answer, const VariantFound& variant, const std::string& metric) {
  const std::vector<double>& values = values_of(variant.values, metric).values;
  const std::vector<double>& starts = values_of(variant.starts, metric).values;
  std::string out = mean_and_deviation(metric, values);
  if (metric == answer.metric && values.size() > 1) {
    const Summary s = summary_of(values);
    const Numbers numbers(metric, s.deviation);
    out += " (" + numbers.text(s.low) + " to " + numbers.text(s.high) + ")";
  }
  return answer.same_start || starts.empty() ? out : mean_and_deviation(metric, starts) + " > " + out;
}

/// The accuracies before the first step, which all variants share: one for each seed.
std::vector<std::string> start_row(const Answer& answer, size_t columns) {
  std::vector<std::string> row = {"at the start", ""};
  for (const std::string& metric : answer.metrics) {
    std::map<int64_t, double> by_seed;
    for (const VariantFound& variant : answer.variants) {
      const BySeed& starts = values_of(variant.starts, metric);
      for (size_t s = 0; s < starts.seeds.size(); ++s) by_seed[starts.seeds[s]] = starts.values[s];
    }
    std::vector<double> values;
    for (const auto& [seed, value] : by_seed) values.push_back(value);
    row.push_back(values.empty() ? "" : mean_and_deviation(metric, values));
  }
  row.resize(columns);
  return row;
}

std::string table_of_comparisons(const Answer& answer) {
  std::vector<std::vector<std::string>> rows;
  for (const Comparison& c : answer.comparisons) {
    if (!c.test) continue;
    const Numbers numbers(answer.metric, c.test->half_width);
    const auto interval = [&](double half) { return numbers.with_sign(c.difference - half) + " to " + numbers.with_sign(c.difference + half); };
    rows.push_back({c.variant, std::to_string(c.seeds.size()), numbers.with_sign(c.difference), numbers.text(c.test->error),
                    interval(c.test->half_width), print("%.3g", c.test->p), print("%.3g", c.p), numbers.text(c.test->unpaired_error),
                    interval(c.test->unpaired_half_width), c.test->narrower() > 0 ? print("%.1f", c.test->narrower()) : "-"});
  }
  if (rows.empty()) return "";
  const std::string unit = is_share(answer.metric) ? " points" : "";
  return "\n" + table_of({"difference to " + answer.baseline + " in " + answer.metric, "seeds", "mean" + unit, "standard error", "95 % interval", "p",
                          "p (Holm)", "unpaired standard error", "unpaired interval", "narrower by"},
                         rows);
}

}  // namespace

ordered_json row_of(const Variant& run, const Found& found, const std::string& folder) {
  ordered_json row = {{"variant", run.variant}};
  if (run.seed) row["seed"] = *run.seed;
  row.update({{"set", run.pipeline.sets}, {"run", folder}, {"status", found.status}});
  if (found.result.is_object()) row.update(found.result);
  for (const auto& [name, value] : found.metrics) {
    row[spaced(name)] = value;
  }
  return row;
}

std::string table_of_runs(const ordered_json& rows) {
  std::vector<std::string> columns = {"variant", "status", "steps", "seconds", "loss"};
  for (const auto& row : rows) {
    for (const auto& [column, value] : row.items()) {
      if (value.is_number() && column != "seed" && std::find(columns.begin(), columns.end(), column) == columns.end()) columns.push_back(column);
    }
  }
  std::vector<std::vector<std::string>> cells;
  for (const auto& row : rows) {
    cells.emplace_back();
    for (const std::string& column : columns) cells.back().push_back(cell(row, column));
  }
  return table_of(columns, cells);
}

std::string table_of_variants(const Answer& answer) {
  std::vector<std::string> head = {"variant", "seeds"};
  for (const std::string& metric : answer.metrics) head.push_back(title(metric));
  const bool curves = !answer.curve.empty();
  if (curves) head.push_back(title(answer.curve + ".accuracy") + " at equal time");
  head.emplace_back("ms a step");
  std::vector<std::vector<std::string>> rows;
  const bool any_start = std::any_of(answer.variants.begin(), answer.variants.end(), [](const VariantFound& v) { return !v.starts.empty(); });
  if (answer.same_start && any_start) rows.push_back(start_row(answer, head.size()));
  for (const VariantFound& variant : answer.variants) {
    std::vector<std::string> row = {variant.name, std::to_string(variant.seeds.size())};
    for (const std::string& metric : answer.metrics) row.push_back(value_cell(answer, variant, metric));
    if (curves) row.push_back(mean_and_deviation(answer.curve + ".accuracy", variant.equal_time));
    row.push_back(print("%.1f", 1000 * variant.seconds_per_step));
    rows.push_back(std::move(row));
  }
  std::string out = table_of(head, rows) + table_of_comparisons(answer);
  out += "\n± is the standard deviation over seeds" + std::string(answer.comparisons.empty() ? "" : "; of a difference, half of its 95 % interval") +
         ".";
  if (curves)
    out += print(answer.equal_seconds < 10 ? " Equal time: %.2g s of training, when the fastest variant ends."
                                           : " Equal time: %.0f s of training, when the fastest variant ends.",
                 answer.equal_seconds);
  return out + "\n";
}

std::string text_below(const SweepPlan& plan, const Answer& answer, const ordered_json& rows) {
  std::vector<std::string> lines = sentences(plan, answer), open;
  size_t all = 0;
  for (const std::string& variant : plan.variants) {
    std::map<std::string, size_t> by_status;
    for (const auto& row : rows) {
      if (words_at(row, "variant") == variant && words_at(row, "status") != "done") ++by_status[words_at(row, "status")], ++all;
    }
    for (const auto& [status, count] : by_status) open.push_back(variant + " (" + std::to_string(count) + " " + status + ")");
  }
  if (all > 0 && !plan.seeds.empty())
    lines.push_back(std::to_string(all) + " of " + std::to_string(rows.size()) + " runs are not done: " + join(open) + ".");
  std::string out;
  for (const std::string& line : lines) out += "\n" + line + "\n";
  return out;
}

}  // namespace flowrun::app
