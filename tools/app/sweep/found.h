// The results of one run of a sweep, read from its folder, or from a file of finished runs ("cells") that may be committed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/app/sweep/sweep_plan.h"

namespace flowrun::app {

struct Found {
  std::string status = "not run";  // of result.json; "other pipeline": done, but not by the pipeline that the sweep has now
  nlohmann::ordered_json result;   // steps, seconds, error, as far as they are known
  /// The last reported loss, as "loss" (none if it was not finite), and what each evaluation found last, as NODE.METRIC; in the order of the run.
  std::vector<std::pair<std::string, double>> metrics;
  std::map<std::string, std::vector<std::pair<int64_t, double>>> curves;  // accuracies of each evaluation, by step
  int64_t steps = 0;
  /// Seconds of a training step: the median over reports, so that evaluations in between don't count; for a run without reports the mean.
  double seconds_per_step = 0;

  bool is_done() const { return status == "done"; }
  const double* metric(const std::string& name) const;
};

/// Files that can't be read count as missing.
Found read_found(const std::filesystem::path& run);

/// A file of finished runs, a line each: {"pipeline", "seed", "set", "sources", "curves", "metrics", "step", "steps"}. A line counts while the texts
/// of the pipeline's files are those that made the run, and --set was the same. Lines without "metrics" have the last accuracies of their curves.
class Cells {
 public:
  /// `path` empty: there are none.
  explicit Cells(std::string path);

  bool has_file() const { return !path_.empty(); }
  /// None: the run is not in the file. `other`: set to whether a run of other files is.
  std::optional<Found> find(const Variant& variant, bool& other) const;
  /// Appends a run that is done, if it has metrics. Throws Error when the file can't be written.
  void add(const Variant& variant, const Found& found);

 private:
  struct Cell {
    nlohmann::ordered_json key;  // without sources
    std::string sources;
    Found found;
  };

  const std::string& sources_of(const std::string& pipeline) const;

  std::string path_;
  std::vector<Cell> cells_;
  mutable std::map<std::string, std::string> sources_;  // hash of each pipeline's files, which are read once
};

/// 16 hex digits of the SHA-256 of the texts that make a pipeline: the file, what it extends, and the parts that it uses.
std::string sources_hash(const std::filesystem::path& pipeline);

}  // namespace flowrun::app
