// Checks the pictures of evaluations before training begins.
#pragma once

#include "graph/check/entries.h"

namespace flowrun::app {

/// Reads the headers of pictures that the evaluations of a pipeline that trains will read, 20,000 of each source at most,
/// spread evenly. Throws PipelineError that names the source and the first file that is no picture: the evaluation would
/// fail on it, after hours. Files that need more than their first 64 KiB for this, and samples that are not separate
/// files (shards), are skipped. The sources must be open.
void check_evaluation_files(const CheckedPipeline& pipeline);

}  // namespace flowrun::app
