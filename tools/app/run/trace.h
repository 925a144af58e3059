// Writes the calls of every thread of a run to a file for ui.perfetto.dev.
#pragma once

#include <filesystem>
#include <fstream>

#include "graph/engine/engine.h"

namespace flowrun::app {

/// Chrome's trace event format (JSON). Each thread is a track. A sample's calls are tied by a flow, up to its group; the
/// group's calls by another, up to its step. Counters: the groups in flight, images per second, the loss.
class TraceFile {
 public:
  /// Opens the file early, so that a run doesn't fail at its end. Throws PipelineError.
  explicit TraceFile(std::filesystem::path path);

  /// Call once the run has ended, before the engine is destroyed. `metrics` is the file with the losses. Errors are
  /// logged: they don't fail the run.
  void write(const Engine& engine, const CheckedPipeline& pipeline, const std::filesystem::path& metrics);

 private:
  std::filesystem::path path_;
  std::ofstream file_;
};

}  // namespace flowrun::app
