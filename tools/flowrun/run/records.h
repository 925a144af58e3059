// What a run writes into its directory beside what its nodes write.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "graph/engine/engine.h"
#include "io/run/run_directory.h"

namespace flowrun::tool {

/// Each call writes at once. On the device's thread, but finish().
class Records {
 public:
  explicit Records(const io::RunPaths& paths) : paths_(paths) {}

  void evaluation(const std::string& node, const EvaluationContext& context);
  void quarantine(const BadSample& bad, const RunInfo& run);
  /// What was in a step whose loss, say, was not finite: to look at, or to leave out.
  void failed_step(int64_t step, const std::vector<StepSample>& samples);
  /// stats.json, result.md, then result.json: last, so that its presence says that all is there. What is made of them
  /// (report.html) comes behind.
  void finish(const Engine* engine, nlohmann::ordered_json result);

 private:
  std::filesystem::path evaluations() const { return paths_.root / "evaluations.jsonl"; }

  const io::RunPaths& paths_;
  std::optional<io::JsonLines> quarantine_;
  std::set<std::string> named_;  // files that the log names
};

}  // namespace flowrun::tool
