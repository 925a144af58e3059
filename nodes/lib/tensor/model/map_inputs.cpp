#include "nodes/lib/tensor/model/map_inputs.h"

#include <algorithm>

#include "graph/text/error.h"

namespace flowrun::model {
namespace {

constexpr const char* hint = "name it in stages of the encode.images that makes the maps";

std::string missing(int64_t stage, const std::string& model) {
  return model + " takes the map of stage " + std::to_string(stage) + ", which does not come in";
}

std::string misfit(int64_t stage, int64_t found, int64_t channels, const std::string& model) {
  return "the map of stage " + std::to_string(stage) + " has " + std::to_string(found) + " channels, but " + model + " takes " +
         std::to_string(channels);
}

}  // namespace

std::optional<StageShape> check_map(NodePlan& plan, int64_t stage, int64_t channels, const std::string& model) {
  const Planned maps = plan.known("maps");
  for (const StageShape& at : FeatureMaps::planned_stages(maps)) {
    if (at.stage != stage) continue;
    const auto found = static_cast<int64_t>(at.channels);
    if (found != channels) plan.fault("maps", misfit(stage, found, channels, model), "both must name the same encoder");
    return at;
  }
  if (maps.rows > 0) plan.fault("maps", missing(stage, model), hint);
  return {};
}

const Tensor& require_map(const FeatureMaps& maps, int64_t stage, int64_t channels, const std::string& model) {
  const auto found = std::find(maps.stages.begin(), maps.stages.end(), stage);
  if (found == maps.stages.end()) throw NodeError(missing(stage, model) + ": " + hint);
  const Tensor& map = maps.maps_BCHW[static_cast<size_t>(found - maps.stages.begin())];
  if (map.size(1) != channels) throw NodeError(misfit(stage, map.size(1), channels, model));
  return map;
}

}  // namespace flowrun::model
