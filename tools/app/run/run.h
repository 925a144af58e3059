// A run, from its pipeline file to its directory.
#pragma once

#include <cstdint>
#include <string>

#include "tools/app/load/load.h"
#include "tools/app/run/caller.h"

namespace flowrun {
class InputTaker;
}

namespace flowrun::app {

struct RunArgs {
  PipelineArgs pipeline;
  std::string out;
  bool resume = false;
  bool accept_changed_data = false;
  bool serial = false;
  bool quiet = false;
  int threads = 0;
  int prometheus = 0;  // port; 0: none
  int rank = 0, world = 1;
  uint64_t jitter = 0;
  std::string trace;  // file; empty: none
  int64_t trace_calls = 200'000;
  // For a variant that runs beside others in one process.
  std::string name;             // in front of its lines
  InputTaker* takes = nullptr;  // its input
};

/// Runs it in this process; the exit status. Faults are thrown as long as the run has not opened.
int run(const RunArgs& args, Caller& caller);

}  // namespace flowrun::app
