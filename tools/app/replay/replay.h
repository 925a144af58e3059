// One sample of a run, made again, as far as the host's nodes.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "io/codec/image.h"

namespace flowrun::app {

struct ReplayArgs {
  std::string run;     // directory
  std::string sample;  // index, or the key that the source gives it
  int64_t epoch = 0;   // from 0
  std::string node;    // empty: the last sample nodes, and masks
  std::string png;     // empty: no picture
  int threads = 0;
  bool trust = false;
  bool json = false;
};

struct Replayed {
  nlohmann::ordered_json facts;              // as `flowrun replay --json` prints them
  int status;                                // exit status: 1 when the sample fails, or its step can't be made again as it was
  int64_t group_size;                        // images
  std::function<io::PixelBuffer()> picture;  // throws RunError when there is nothing to draw
};

/// Throws PipelineError when the run or the sample can't be found.
Replayed replay(const ReplayArgs& args);

}  // namespace flowrun::app
