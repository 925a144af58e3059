// Writes the run's own files into its directory, besides those of its nodes.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "graph/engine/engine.h"
#include "io/run/run_directory.h"

namespace flowrun::app {

/// Each call writes at once. Call on the device's thread, except finish().
class Records {
 public:
  explicit Records(const io::RunPaths& paths) : paths_(paths) {}

  void evaluation(const std::string& node, const EvaluationContext& context);
  void quarantine(const BadSample& bad, const RunInfo& run);
  /// Lists the samples of a failed step (with a loss that is not finite, for example), to inspect or to leave out.
  void failed_step(int64_t step, const std::vector<StepSample>& samples);
  /// stats.json, result.md, then result.json: last, so that its presence means that all are complete. report.html,
  /// which is made from them, comes later.
  void finish(const Engine* engine, nlohmann::ordered_json result);

 private:
  std::filesystem::path evaluations() const { return paths_.root / "evaluations.jsonl"; }

  const io::RunPaths& paths_;
  std::optional<io::JsonLines> quarantine_;
  std::set<std::string> named_;  // files that the log names
};

}  // namespace flowrun::app
