// The pictures of evaluations, looked at before training begins.
#pragma once

#include "graph/check/entries.h"

namespace flowrun::tool {

/// Reads the headers of pictures that the evaluations of a pipeline that trains will read, 20,000 of each source at most,
/// spread evenly. Throws PipelineError that names the source and the first file that is no picture: the evaluation would
/// fail on it, after hours. What needs more than the first 64 KiB to be told, and samples that are no files of their own
/// (shards), are passed over. The sources are open.
void check_evaluation_files(const CheckedPipeline& pipeline);

}  // namespace flowrun::tool
