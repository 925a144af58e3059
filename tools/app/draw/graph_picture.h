// A pipeline's graph as an SVG picture, with its own layout: no other program is needed.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "graph/check/entries.h"

namespace flowrun::app {

/// Bands of equal scope from above to below, in them layers: every edge leads down, and none passes through a box. The
/// colours fit a light and a dark page. `shares` are each node's part of the time, 0 to 1, which then colours it; empty:
/// coloured by scope. Models are drawn at the right, and named in the boxes of the nodes that use them.
std::string graph_svg(const CheckedPipeline& pipeline, const std::vector<double>& shares = {});

/// Each node's part of the seconds that all were busy, from a run's stats.json.
std::vector<double> time_shares(const CheckedPipeline& pipeline, const nlohmann::ordered_json& stats);

}  // namespace flowrun::app
