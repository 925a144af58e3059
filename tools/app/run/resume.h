// Reads the state of a run from its directory, for a resume.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "graph/engine/engine.h"
#include "io/run/run_directory.h"

namespace flowrun::app {

/// The resolved pipeline that the run began with. Throws RunError when it is missing.
nlohmann::ordered_json stored_pipeline(const io::RunPaths& paths);

/// Replaces values that `run` leaves open ("auto", 0) by those that the run began with, so that it continues in the same
/// way on a machine of another size.
void adopt(RunParams& run, const nlohmann::ordered_json& stored);

/// Throws PipelineError, listing the differences, unless both pipelines compute the same. `places`: data must also be in
/// the same places; otherwise the data themselves are compared.
void require_same(const nlohmann::ordered_json& stored, const nlohmann::ordered_json& now, bool places);

/// The newest complete checkpoint, if there is one.
std::optional<ResumePoint> resume_point(const io::RunPaths& paths);

/// Cuts the run's files back to the step of a checkpoint; without one: empties them.
void cut_records(const io::RunPaths& paths, std::optional<int64_t> point);

}  // namespace flowrun::app
