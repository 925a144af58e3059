// data.json of a run directory: a description of the run's data, so that the run is continued or replayed with the same
// data.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "graph/engine/engine.h"
#include "io/run/run_directory.h"

namespace flowrun::app {

/// {"sources": {NAME: SourceData::json()}, "steps_per_epoch": N, "changes": [{"after_step": S, "epochs_done": E,
/// "progress": P, "before": {"sources": …, "steps_per_epoch": …}}]}: `sources` are those in use; a change holds the
/// sources used up to a step.
class DataRecord {
 public:
  /// For a run that begins.
  DataRecord() = default;
  /// The description in a run directory, as it was after `step`. Empty if an older version of flowrun made the run.
  static std::optional<DataRecord> read(const io::RunPaths& paths, int64_t step = INT64_MAX);

  /// The differences, a line for each source with both numbers; empty: none.
  std::string differences(const nlohmann::ordered_json& sources) const;
  /// Whether any source has more samples than then, or fewer.
  bool counts_differ(const nlohmann::ordered_json& sources) const;
  /// The last change of data; none: the run uses the data that it began with.
  std::optional<DataChange> last_change() const;
  /// Sets the data from now on. `training` names the source whose epochs are counted ("": none is); the run has made
  /// `step` steps of `epochs` epochs.
  void change(const nlohmann::ordered_json& sources, const std::string& training, int64_t step, int64_t epochs);
  /// Call once the engine is open.
  void set(const Engine& engine);
  void write(const io::RunPaths& paths) const;

 private:
  nlohmann::ordered_json record_;
};

}  // namespace flowrun::app
