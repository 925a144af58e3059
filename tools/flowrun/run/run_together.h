// What the ranks of a run agree on before it begins.
#pragma once

#include <filesystem>
#include <string>

#include "graph/check/entries.h"
#include "graph/contract/ranks.h"
#include "tools/flowrun/commands.h"

namespace flowrun::tool {

/// Throws PipelineError where this process is one of several ranks: `what` ("a sweep") is one process. `instead`: what to do.
void require_one_process(const std::string& what, const std::string& instead);

/// Throws PipelineError where a pipeline trains as one of `world` ranks that don't know each other: gradients are exchanged
/// only where ranks have found each other.
void refuse_training_ranks(const CheckedPipeline& pipeline, int world);

/// The run's directory. The first rank decides where, and whether the run is resumed (then args.resume is set); after a
/// restart all go on with what is there. Collective; `ranks` null: the only one.
std::filesystem::path agreed_folder(RunArgs& args, Ranks* ranks);

/// All ranks must run the same pipeline: throws PipelineError that says what differs from rank 0's. Collective.
void require_same_on_all(const nlohmann::ordered_json& resolved, Ranks& ranks);

}  // namespace flowrun::tool
