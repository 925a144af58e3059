#include "tools/app/sweep/found.h"

#include <algorithm>

#include "io/run/run_directory.h"
#include "tools/app/evaluated.h"
#include "tools/app/json_files.h"
#include "tools/app/sweep/statistics.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

void read_evaluation(const std::string& node, const ordered_json& entry, Found& out) {
  each_metric(entry, [&](const std::string& metric, double value) { out.metrics.emplace_back(node + "." + metric, value); });
  const auto history = entry.find("history");
  if (history == entry.end() || !history->is_array()) return;
  for (const ordered_json& point : *history) {
    if (point.is_object() && point.contains("accuracy") && point["accuracy"].is_number())
      out.curves[node].emplace_back(point.value("step", int64_t{0}), point["accuracy"].get<double>());
  }
}

}  // namespace

const double* Found::metric(const std::string& name) const {
  const auto at = std::find_if(metrics.begin(), metrics.end(), [&](const auto& each) { return each.first == name; });
  return at == metrics.end() ? nullptr : &at->second;
}

Found read_found(const std::filesystem::path& run) {
  const io::RunPaths paths(run);
  Found out;
  const ordered_json result = read_json(paths.result);
  if (!result.is_object()) return out;
  out.status = words_at(result, "status", "?");
  for (const char* field : {"steps", "seconds", "error"}) {
    if (result.contains(field)) out.result[field] = result[field];
  }
  std::vector<double> rates;
  std::optional<double> loss;
  each_line(paths.metrics, [&](const ordered_json& line) {
    if (line.contains("loss")) loss = line["loss"].is_number() ? std::optional(line["loss"].get<double>()) : std::nullopt;  // null: not finite
    if (line.contains("images_per_second") && line["images_per_second"].is_number() && line["images_per_second"] > 0)
      rates.push_back(line["images_per_second"].get<double>());
  });
  if (loss) out.metrics.emplace_back("loss", *loss);
  for (const auto& [node, entry] : result.items()) {
    if (is_evaluation(entry)) read_evaluation(node, entry, out);
  }
  const auto number = [&](const char* field) { return result.contains(field) && result[field].is_number() ? result[field].get<double>() : 0.0; };
  out.steps = static_cast<int64_t>(number("steps"));
  const double steps = std::max(1.0, number("steps"));
  out.seconds_per_step = rates.empty() ? number("seconds") / steps : number("images") / steps / median(rates);
  return out;
}

}  // namespace flowrun::app
