// Models and stateful nodes as a checkpoint directory.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "graph/contract/run_hook.h"

namespace flowrun {

/// Handling of a state that holds NaN or infinity.
enum class NotFinite { keep, refuse };

/// Writes ROOT/step-N with NAME.safetensors for each model and stateful node. Returns its path; an empty one if this run, or
/// this rank, writes nothing, or no longer can. Collective: all ranks call it. Step nodes only. Throws NodeError that names the
/// array it refuses; then nothing has changed under ROOT. `more` is added to the manifest's facts.
std::filesystem::path write_checkpoint(const std::filesystem::path& root, const StepContext& context, NotFinite values,
                                       const nlohmann::ordered_json& more = nlohmann::ordered_json::object());

/// The moment at which write_checkpoint() of a run begins: for work that a node defers, but that a resumed run assumes done. Collective as
/// write_checkpoint() is.
using BeforeCheckpoint = RunHook<struct CheckpointBegins>;

}  // namespace flowrun
