// Runs the pipelines that `flowrun embed` and `flowrun look` make.
#pragma once

#include "graph/check/entries.h"
#include "graph/contract/ranks.h"
#include "tools/app/embed/embed.h"
#include "tools/app/run/caller.h"

namespace flowrun::app {

/// Runs a pipeline without training, with progress and lines of the log for the caller. `ranks`: null for one process. `again`: only warnings
/// are logged, as an earlier pipeline with the same encoder has logged the rest. Returns whether it was stopped. Throws what the engine throws.
bool run_evaluations(CheckedPipeline pipeline, const EmbedArgs& args, Ranks* ranks, Caller& caller, bool again = false);

}  // namespace flowrun::app
