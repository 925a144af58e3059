// The contents of a run directory, read in bounded memory; files may be missing, as in a run that goes on or was
// killed. The directory may be a stranger's: what is no regular file, or leads out of it, counts as missing.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/run/run_directory.h"
#include "tools/app/results/chart.h"

namespace flowrun::app {

/// The value of an evaluation's line that says most: the accuracy or mIoU where there is one, else its first number. Empty: there is none.
std::string main_value(const nlohmann::ordered_json& row);

struct RunFacts {
  /// Where a run has much to read: everything, or the JSON files and evaluations alone.
  enum class Read { all, evaluations };
  /// Throws RunError when the folder holds no run.
  explicit RunFacts(const std::filesystem::path& run, Read read = Read::all);

  io::RunPaths paths;
  nlohmann::ordered_json pipeline, result, stats;  // null: missing
  int64_t last_step = 0;
  std::map<std::string, Curve> metrics;                                    // over steps
  int64_t lines = 0;                                                       // of metrics.jsonl
  int64_t not_finite = 0, first_not_finite = 0;                            // losses; the step of the first
  std::map<std::string, std::vector<nlohmann::ordered_json>> evaluations;  // by node, 100 at most; the newest
  std::map<std::string, Curve> scores;                                     // shares and main values over steps: "knn accuracy"
  int64_t quarantined = 0;
  std::vector<nlohmann::ordered_json> bad;  // the first of them
  std::vector<std::filesystem::path> pictures, checkpoints, failed_steps;
  std::vector<std::string> warnings;  // of the log: the last

 private:
  void read_metrics();
  void read_evaluations();
  void read_quarantine();
  void read_log();
  void list_files();
};

}  // namespace flowrun::app
