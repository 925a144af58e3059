// Checks whether checkpoints will fit on the disk.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "graph/engine/engine.h"
#include "tools/app/load/load.h"

namespace flowrun::app {

/// Throws RunError if the disk of `run` has no room for the checkpoints that the pipeline keeps, and the one that is being
/// written. Existing checkpoints of the run count as room. A pipeline without checkpoints needs no room.
void require_room(Engine& engine, const nlohmann::ordered_json& resolved, const std::filesystem::path& run);

/// A run that is to come.
struct PlannedRun {
  PipelineArgs pipeline;
  std::filesystem::path folder;
};

/// The same for all runs of a sweep into `out`, before the first begins: checkpoints of finished runs stay. `beside`: some may run at the same
/// time. A run that can't be opened counts as zero; it will report why.
void require_room(const std::vector<PlannedRun>& runs, const std::filesystem::path& out, bool beside);

}  // namespace flowrun::app
