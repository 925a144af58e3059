// Commands on a pipeline that hasn't run.
#pragma once

#include "tools/app/load/load.h"

namespace flowrun::cli {

struct CheckArgs {
  app::PipelineArgs pipeline;
  bool json = false;
};

int check(const CheckArgs& args);
int expand(const app::PipelineArgs& args);

}  // namespace flowrun::cli
