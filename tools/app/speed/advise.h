// A pipeline's speed on other machines, foretold.
#pragma once

#include <cstdint>

#include "tools/app/load/load.h"

namespace flowrun::app {

struct AdviseArgs {
  PipelineArgs pipeline;  // or a run directory
  int threads = 0;
  double seconds = 20;
  double cores = 0, data_threads = 0, device_scale = 1;  // the machine asked about; 0: this one's
  int64_t groups = 0;                                    // of a batch, asked about; 0: as it is
  bool verify = false, measure = false, json = false;
};

/// Forecasts a pipeline's speed on other machines.
int advise(const AdviseArgs& args);

}  // namespace flowrun::app
