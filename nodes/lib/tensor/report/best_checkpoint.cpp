#include "nodes/lib/tensor/report/best_checkpoint.h"

#include <cmath>
#include <vector>

#include "graph/text/error.h"
#include "io/error.h"
#include "io/run/checkpoint.h"
#include "io/run/run_directory.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/report/write_checkpoint.h"

namespace flowrun {
namespace {

/// Why the findings of the node lack the metric.
std::string missing(const Metric& metric, const Reports& reports) {
  std::vector<std::string> names;
  for (const auto& [name, value] : reports) names.push_back(name);
  return "best: " + metric.node + " reports no \"" + metric.name + "\"; " + did_you_mean(metric.name, names) + "it reports " + join(names);
}

}  // namespace

std::optional<Metric> Metric::parse(const std::string& text) {
  const size_t dot = text.rfind('.');
  if (dot == std::string::npos || dot == 0 || dot + 1 == text.size()) return {};
  return Metric{text.substr(0, dot), text.substr(dot + 1)};
}

BestCheckpoint::BestCheckpoint(const RunInfo& run, Metric metric, bool largest)
    : root_(run.directory.empty() ? std::filesystem::path() : io::RunPaths(run.directory).best),
      metric_(std::move(metric)),
      largest_(largest),
      after_(run, [this](const StepContext& context, const Findings& found) { evaluated(context, found); }) {}

/// Takes over the value that an earlier process of this run kept. A best of another metric is replaced by the first of this.
void BestCheckpoint::read() {
  was_read_ = true;
  if (root_.empty()) return;
  if (const auto there = io::newest_manifest(root_)) {
    const nlohmann::json& facts = there->extra;
    if (facts.value("metric", "") == metric_.text() && facts.contains("value")) value_ = facts.at("value").get<double>();
  }
}

void BestCheckpoint::evaluated(const StepContext& context, const Findings& found) {
  const auto of_node = found.find(metric_.node);
  if (of_node == found.end()) return;
  if (!was_read_) read();  // not earlier: a resume first removes what it undoes
  bool best = false;
  double value = 0;
  if (context.run.rank == 0) {
    const auto reported = of_node->second.find(metric_.name);
    if (reported == of_node->second.end()) {
      if (context.step == 0) throw NodeError(missing(metric_, of_node->second));
      if (!warned_) log_warning(missing(metric_, of_node->second) + "; no best checkpoint is kept");
      warned_ = true;
    } else {
      value = reported->second;
      best = context.step > 0 && std::isfinite(value) && is_best(value);
    }
  }
  if (ranks::most(context.run, best ? 1 : 0, "whether a checkpoint is the best") == 0) return;
  const std::filesystem::path path =
      write_checkpoint(root_, context, NotFinite::refuse, {{"metric", metric_.text()}, {"value", value}, {"largest", largest_}});
  value_ = value;
  if (path.empty()) return;
  // Any other is older, or of a later step that a resume has undone.
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(root_, ignored)) {
    if (entry.path() != path) std::filesystem::remove_all(entry.path(), ignored);
  }
  log_info("best so far: " + metric_.text() + " after step " + std::to_string(context.step) + ", kept in best/" + path.filename().string());
}

}  // namespace flowrun
