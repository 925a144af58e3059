// What a run directory says about the run it holds.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "graph/engine/engine.h"
#include "io/run/run_directory.h"

namespace flowrun::tool {

/// The resolved pipeline that the run began with. Throws RunError when it is missing.
nlohmann::ordered_json stored_pipeline(const io::RunPaths& paths);

/// Fills what `run` leaves open ("auto", 0) with what the run began with, so that it goes on in the same way on a machine
/// of other size.
void adopt(RunParams& run, const nlohmann::ordered_json& stored);

/// Throws PipelineError, listing the differences, unless both pipelines compute the same. `places`: data must lie in the
/// same places, too; else they are compared themselves.
void require_same(const nlohmann::ordered_json& stored, const nlohmann::ordered_json& now, bool places);

/// The newest complete checkpoint, if there is one.
std::optional<ResumePoint> resume_point(const io::RunPaths& paths);

/// Cuts off what the run's files hold behind the step of a checkpoint; nothing: all of it.
void cut_records(const io::RunPaths& paths, std::optional<int64_t> point);

}  // namespace flowrun::tool
