// Models and stateful nodes as a checkpoint directory.
#pragma once

#include <filesystem>
#include <functional>

#include "graph/contract/context.h"

namespace flowrun {

/// What becomes of a state that holds NaN or infinity.
enum class NotFinite { keep, refuse };

/// Writes ROOT/step-N with NAME.safetensors for each model and stateful node. Returns its path; an empty one where this run, or
/// this rank, writes nothing, or can't any more. Collective: all ranks call it. Step nodes only. Throws NodeError that names
/// the array where it refuses; then nothing has changed under ROOT.
std::filesystem::path write_checkpoint(const std::filesystem::path& root, const StepContext& context, NotFinite values);

/// While it lives, write_checkpoint() of that run begins with `work`: what a node puts off, and a resumed run takes as done.
/// Collective as write_checkpoint() is. Made in open(), on the device's thread.
class BeforeCheckpoint {
 public:
  BeforeCheckpoint(const RunInfo& run, std::function<void()> work);
  ~BeforeCheckpoint();
  BeforeCheckpoint(const BeforeCheckpoint&) = delete;
  BeforeCheckpoint& operator=(const BeforeCheckpoint&) = delete;

 private:
  friend std::filesystem::path write_checkpoint(const std::filesystem::path& root, const StepContext& context, NotFinite values);
  const RunInfo* run_;
  std::function<void()> work_;
};

}  // namespace flowrun
