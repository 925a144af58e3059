// Where a pipeline's time goes.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/app/load/load.h"
#include "tools/app/say.h"

namespace flowrun::app {

struct ProfileArgs {
  PipelineArgs pipeline;
  std::string source;  // empty: the one that trains, or the only one
  int threads = 0;
  double seconds = 10;
  int64_t steps = 0;  // 0: by time
  std::vector<std::string> stubs;
  int64_t skip = 0, images = 0;  // for benchmarks: counts exactly this many images after the first, and no halves; 0: by time
  bool upload = false;           // include the device nodes that use no model
  bool input_only = false;
  bool leaks = false;
  bool json = false;
};

/// Measures where a pipeline's time goes, what limits it and what to change, or the time of its host side alone (source, sample
/// and batch nodes): the numbers as `flowrun profile --json` prints them. With args.leaks the program is started again first.
/// Throws PipelineError and RunError.
nlohmann::ordered_json profile(const ProfileArgs& args, const Say& say);

}  // namespace flowrun::app
