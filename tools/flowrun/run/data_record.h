// data.json of a run directory: what the run's data were, so that it goes on, or is looked at again, with the same.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "graph/engine/engine.h"
#include "io/run/run_directory.h"

namespace flowrun::tool {

/// {"sources": {NAME: SourceData::json()}, "steps_per_epoch": N, "changes": [{"after_step": S, "epochs_done": E,
/// "progress": P, "before": {"sources": …, "steps_per_epoch": …}}]}: `sources` are those in use; a change says what they
/// were up to a step.
class DataRecord {
 public:
  /// Of a run that begins.
  DataRecord() = default;
  /// Of a run directory, as it was after `step`. Nothing where an older version of flowrun made the run.
  static std::optional<DataRecord> read(const io::RunPaths& paths, int64_t step = INT64_MAX);

  /// What differs, a line for each source with both numbers; empty: nothing.
  std::string differences(const nlohmann::ordered_json& sources) const;
  /// Whether any source has more samples than then, or fewer.
  bool counts_differ(const nlohmann::ordered_json& sources) const;
  /// The last change of data; none: the run goes on with what it began with.
  std::optional<DataChange> last_change() const;
  /// From now on the data are these. `training` names the source whose epochs are counted ("": none is); the run has
  /// made `step` steps of `epochs` epochs.
  void change(const nlohmann::ordered_json& sources, const std::string& training, int64_t step, int64_t epochs);
  /// Once the engine is open.
  void set(const Engine& engine);
  void write(const io::RunPaths& paths) const;

 private:
  nlohmann::ordered_json record_;
};

}  // namespace flowrun::tool
