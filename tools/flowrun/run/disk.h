// Whether checkpoints will fit on the disk.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "graph/engine/engine.h"
#include "tools/flowrun/run/sweep.h"

namespace flowrun::tool {

/// Throws RunError where the disk that `run` is on has no room for the checkpoints that the pipeline keeps, and the one that is
/// being written. Those that are there already count as room. A pipeline that writes none needs none.
void require_room(Engine& engine, const nlohmann::ordered_json& resolved, const std::filesystem::path& run);

/// The same of all variants of a sweep into `out`, before the first begins: checkpoints of those that have ended stay. `beside`:
/// some may run at the same time. A variant that can't be opened counts as nothing; its run says why.
void require_room(const std::vector<Variant>& variants, const std::filesystem::path& out, bool beside);

}  // namespace flowrun::tool
