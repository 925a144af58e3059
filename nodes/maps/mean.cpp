#include <algorithm>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/types/feature_maps.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct MapsMean {
  static constexpr NodeInfo info{
      .type = "maps.mean",
      .brief = "The mean over the places of one stage's map: one vector of each image.",
      .scope = Scope::device,
      .details = "Global average pooling, for a classifier behind a stage or behind maps.regress. Gradients go back to the map.",
      .repeats = true};
  struct Ports {
    In<FeatureMaps> maps{"maps", "With one map, or that of stage."};
    Out<Vectors> vectors{"vectors", "B C."};
    void describe(auto& port) { port(maps, vectors); }
  };
  struct Params {
    int64_t stage = 0;
    void describe(auto& param) { param("stage", stage, not_negative, "Whose map is taken; 0: the only one that comes in."); }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const Planned maps = plan.known("maps");
    const std::vector<StageShape> known = FeatureMaps::planned_stages(maps);
    std::vector<int64_t> stages;
    for (const StageShape& at : known) stages.push_back(at.stage);
    const auto place = find(stages);
    if (maps.rows > 0 && !place) plan.fault("stage", missing(stages), hint);
    plan.out["vectors"] = Vectors::planned(maps.rows, place ? known[*place].channels : 0);
  }

  void run(Ports& port, const GroupContext&) const {
    const FeatureMaps& in = *port.maps;
    const auto place = find(in.stages);
    if (!place) throw NodeError(missing(in.stages) + ": " + hint);
    const Tensor& map = in.maps_BCHW[*place];
    *port.vectors = {.values_nD = map.flatten(2).to(at::kFloat).mean(2), .views = in.views, .image_n = {}, .images = map.size(0)};
  }

 private:
  static constexpr const char* hint = "name one in stages of the node that makes the maps";

  std::optional<size_t> find(const std::vector<int64_t>& stages) const {
    if (params.stage == 0) return stages.size() == 1 ? std::optional<size_t>(0) : std::nullopt;
    const auto found = std::find(stages.begin(), stages.end(), params.stage);
    return found == stages.end() ? std::nullopt : std::optional<size_t>(found - stages.begin());
  }
  std::string missing(const std::vector<int64_t>& stages) const {
    if (params.stage == 0) return std::to_string(stages.size()) + " maps come in, and stage does not say which is taken";
    return "the map of stage " + std::to_string(params.stage) + " does not come in";
  }
};

FLOWRUN_NODE(MapsMean);

}  // namespace
}  // namespace flowrun
