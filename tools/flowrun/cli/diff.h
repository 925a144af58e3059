// The differences of two pipelines.
#pragma once

#include "tools/app/load/load.h"

namespace flowrun::cli {

struct DiffArgs {
  app::PipelineArgs a, b;
  double seconds = 0;  // of measuring; 0: none
  bool json = false;
};

/// Compares two pipelines: values, random streams, whether checkpoints fit, speed.
int diff(const DiffArgs& args);

}  // namespace flowrun::cli
