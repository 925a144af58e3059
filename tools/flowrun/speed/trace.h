// What every thread of a run did, call by call, as a file for ui.perfetto.dev.
#pragma once

#include <filesystem>
#include <fstream>

#include "graph/engine/engine.h"

namespace flowrun::tool {

/// Chrome's trace event format (JSON). Each thread is a track. A sample's calls are tied by a flow, up to its group; the
/// group's calls by another, up to its step. Counters: the groups in flight, images per second, the loss.
class TraceFile {
 public:
  /// Opens the file, so that a run doesn't find at its end that it can't. Throws PipelineError.
  explicit TraceFile(std::filesystem::path path);

  /// Once the run has ended, before the engine is gone. `metrics` is where the losses are. What goes wrong is logged: a
  /// run doesn't fail for its trace.
  void write(const Engine& engine, const CheckedPipeline& pipeline, const std::filesystem::path& metrics);

 private:
  std::filesystem::path path_;
  std::ofstream file_;
};

}  // namespace flowrun::tool
