// Whether a run's checkpoints will fit.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>

#include "graph/engine.h"

namespace flowrun::tool {

/// Throws RunError where the disk that `run` is on has no room for the checkpoints that the pipeline keeps, and the one that is
/// being written. Those that are there already count as room. A pipeline that writes none needs none.
void require_room(Engine& engine, const nlohmann::ordered_json& resolved, const std::filesystem::path& run);

}  // namespace flowrun::tool
