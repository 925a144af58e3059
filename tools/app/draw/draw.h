// The graph of a pipeline as text or a picture.
#pragma once

#include <string>

#include "tools/app/load/load.h"

namespace flowrun::app {

struct DrawArgs {
  PipelineArgs pipeline;  // or a run's directory
  std::string out;        // .svg: a picture; else DOT
  bool plan = false;      // the lowered plan in words
  bool json = false;      // nodes and edges
};

/// Throws PipelineError with all faults of the pipeline.
std::string draw(const DrawArgs& args);

}  // namespace flowrun::app
