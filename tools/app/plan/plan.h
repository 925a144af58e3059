// The needs and the speed of a run on many machines.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "tools/app/load/load.h"

namespace flowrun::app {

struct PlanArgs {
  PipelineArgs pipeline;            // or a run directory, whose statistics are taken
  int64_t world = 1, per_node = 0;  // per machine; 0: as the device's table says
  std::string device = "h100";
  double utilisation = 0.4;           // of the device's peak
  double device_rate = 0;             // images/s of one device; 0: by operations
  double bandwidth = 0;               // GB/s between ranks; 0: the device's table
  double latency = 30;                // us of a message between hosts
  int64_t images = 0;                 // of the source, where it can't be opened
  double file_kib = 0, cores_ms = 0;  // of an image; 0: unknown
  double cores = 0, storage = 0;      // that a machine has, 0: as the device's table says; MB/s that it reads, 0: unknown
  bool json = false;
};

/// The numbers, as `flowrun plan --json` prints them. It runs nothing. Throws PipelineError when there is nothing to plan.
nlohmann::ordered_json plan(const PlanArgs& args);

}  // namespace flowrun::app
