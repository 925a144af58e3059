// Models and stateful nodes as a checkpoint directory.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "graph/contract/context.h"

namespace flowrun {

/// Handling of a state that holds NaN or infinity.
enum class NotFinite { keep, refuse };

/// Writes ROOT/step-N with NAME.safetensors for each model and stateful node. Returns its path; an empty one if this run, or
/// this rank, writes nothing, or no longer can. Collective: all ranks call it. Step nodes only. Throws NodeError that names the
/// array it refuses; then nothing has changed under ROOT. `more` is added to the manifest's facts.
std::filesystem::path write_checkpoint(const std::filesystem::path& root, const StepContext& context, NotFinite values,
                                       const nlohmann::ordered_json& more = nlohmann::ordered_json::object());

/// While it lives, write_checkpoint() of that run begins with `work`: work that a node defers, but that a resumed run
/// assumes done. Collective as write_checkpoint() is. Made in open(), on the device's thread.
class BeforeCheckpoint {
 public:
  BeforeCheckpoint(const RunInfo& run, std::function<void()> work);
  ~BeforeCheckpoint();
  BeforeCheckpoint(const BeforeCheckpoint&) = delete;
  BeforeCheckpoint& operator=(const BeforeCheckpoint&) = delete;

 private:
  friend std::filesystem::path write_checkpoint(const std::filesystem::path& root, const StepContext& context, NotFinite values,
                                                const nlohmann::ordered_json& more);
  const RunInfo* run_;
  std::function<void()> work_;
};

}  // namespace flowrun
