// The faults of a pipeline, and its resolved form.
#pragma once

#include "tools/app/load/load.h"

namespace flowrun::app {

struct CheckArgs {
  PipelineArgs pipeline;
  bool json = false;
};

int check(const CheckArgs& args);
int expand(const PipelineArgs& args);

}  // namespace flowrun::app
