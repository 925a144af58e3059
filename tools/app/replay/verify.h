// The ledgers of a run, made again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/app/run/progress.h"

namespace flowrun::app {

struct VerifyArgs {
  std::string run;    // directory
  int64_t step = 0;   // 0: see steps
  std::string steps;  // FIRST:LAST; empty: some, spread over the run
  int threads = 0;
  bool trust = false;
  bool json = false;
};

/// The ledgers of a step.
struct Compared {
  int64_t step;
  uint64_t expected, found;
  std::string reason;  // of a difference
};

struct Verified {
  std::vector<Compared> steps;
  bool same_data;  // names and sizes of files are those of the run
};

/// Repeats ledgers of a run, and compares them with its metrics. Throws PipelineError and RunError.
Verified verify(const VerifyArgs& args, Progress& progress);

}  // namespace flowrun::app
