// Runs what `flowrun embed` and `flowrun look` ask of an encoder.
#pragma once

#include "graph/check/entries.h"
#include "graph/contract/ranks.h"
#include "tools/app/results/embed.h"
#include "tools/app/run/caller.h"

namespace flowrun::app {

/// Runs a pipeline of evaluations alone, with progress and lines of the log for the caller; `ranks`: null for one process. Returns whether it was
/// stopped. Throws what the engine throws.
bool run_evaluations(CheckedPipeline pipeline, const EmbedArgs& args, Ranks* ranks, Caller& caller);

}  // namespace flowrun::app
