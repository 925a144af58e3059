// Where a pipeline's time goes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/app/load/load.h"

namespace flowrun::app {

struct ProfileArgs {
  PipelineArgs pipeline;
  std::string source;  // empty: the one that trains, or the only one
  int threads = 0;
  double seconds = 10;
  int64_t steps = 0;  // 0: by time
  std::vector<std::string> stubs;
  int64_t skip = 0, images = 0;  // for benchmarks: counts exactly this many images after the first; 0: by time
  bool upload = false;           // include the device nodes that use no model
  bool input_only = false;
  bool leaks = false;
  bool json = false;
};

/// Measures where a pipeline's time goes, or that of its host side alone (source, sample and batch nodes).
int profile(const ProfileArgs& args);

}  // namespace flowrun::app
