// The speeds of two pipelines, measured in turns.
#pragma once

#include <nlohmann/json.hpp>

#include "tools/app/load/load.h"
#include "tools/app/say.h"

namespace flowrun::app {

/// Measures both in turns, so that other load affects both. The turns show how reliable the mean is: if the change
/// differs by more than a fifth between them, or other programs had the cores, the result is meaningless.
/// `seconds`: for all turns together.
nlohmann::ordered_json speeds(const PipelineArgs& a, const PipelineArgs& b, double seconds, const Say& say);

}  // namespace flowrun::app
