// The agreements of ranks before a run begins.
#pragma once

#include <filesystem>
#include <string>

#include "graph/check/entries.h"
#include "graph/contract/ranks.h"
#include "tools/app/run/run.h"

namespace flowrun::app {

/// Throws PipelineError if this process is one of several ranks, because `what` ("a sweep") needs a single process.
/// `instead`: the fix.
void require_one_process(const std::string& what, const std::string& instead);

/// Throws PipelineError if a pipeline trains as one of `world` ranks that are not connected: only connected ranks exchange
/// gradients.
void refuse_training_ranks(const CheckedPipeline& pipeline, int world);

/// The run's directory. Rank 0 decides on it, and whether the run is resumed (then args.resume is set); after a restart
/// all continue the existing run. Collective; `ranks` null: the only one.
std::filesystem::path agreed_folder(RunArgs& args, Ranks* ranks);

/// All ranks must run the same pipeline: throws PipelineError that says what differs from rank 0's. Collective.
void require_same_on_all(const nlohmann::ordered_json& resolved, Ranks& ranks);

}  // namespace flowrun::app
