// A pipeline's speed on other machines, foretold.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "tools/app/load/load.h"
#include "tools/app/say.h"

namespace flowrun::app {

struct AdviseArgs {
  PipelineArgs pipeline;  // or a run directory
  int threads = 0;
  double seconds = 20;
  double cores = 0, data_threads = 0, device_scale = 1;  // the machine asked about; 0: this one's
  int64_t groups = 0;                                    // of a batch, asked about; 0: as it is
  bool verify = false, measure = false, json = false;
};

struct Advice {
  std::string file;              // the run directory whose statistics were taken, or the pipeline that was measured
  nlohmann::ordered_json facts;  // as `flowrun advise --json` prints them
};

/// Forecasts a pipeline's speed on other machines. Throws PipelineError and RunError.
Advice advise(const AdviseArgs& args, const Say& say);

}  // namespace flowrun::app
